"""The definition of OPTModels is made from the chart's schema of a model."""

import importlib.util
import json

import pytest
import yaml


@pytest.fixture(scope="module")
def crd(root):
    spec = importlib.util.spec_from_file_location("crd", root / "hack/crd.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def schema(root):
    return json.loads((root / "charts/openaisle/values.schema.json").read_text())


@pytest.fixture(scope="module")
def version(root):
    (version,) = yaml.safe_load((root / "charts/openaisle/files/optmodels.yaml").read_text())["spec"][
        "versions"
    ]
    return version


def test_every_key_of_a_model_is_a_field(version, schema):
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert {"name", *fields} == set(schema["properties"]["models"]["items"]["properties"])


def test_every_field_is_explained(version):
    def unexplained(node, path):
        for key, child in node.get("properties", {}).items():
            if "properties" not in child and "description" not in child:
                yield f"{path}.{key}"
            yield from unexplained(child, f"{path}.{key}")

    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert list(unexplained(spec, "spec")) == []


def test_the_columns_of_kubectl(version):
    columns = [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")]
    assert columns == ["Ready", "Replicas", "Family", "Reason", "Age"]


@pytest.mark.parametrize(
    ("node", "made"),
    [
        ({"enum": ["", "auto"]}, {"type": "string", "enum": ["", "auto"]}),
        (
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {"a": {"type": "integer", "minimum": 0}},
            },
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}},
        ),
        ({"type": "object"}, {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        (
            {"description": "a name or names", "anyOf": [{"type": "string"}, {"type": "array"}]},
            {"description": "a name or names", "x-kubernetes-preserve-unknown-fields": True},
        ),
        (
            {"allOf": [{"$ref": "#/$defs/size"}], "description": "its size"},
            {"type": "string", "pattern": "^[0-9]+Gi$", "description": "its size"},
        ),
    ],
)
def test_json_schema_in_the_form_that_kubernetes_takes(crd, node, made):
    root = {"$defs": {"size": {"type": "string", "pattern": "^[0-9]+Gi$"}}}
    assert crd.structural(node, root) == made


def test_a_word_without_a_counterpart_is_named(crd):
    with pytest.raises(ValueError, match=r"hack/crd\.py doesn't know multipleOf"):
        crd.structural({"type": "integer", "multipleOf": 2}, {})
