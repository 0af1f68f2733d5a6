"""The rendered objects of ci/'s values, as they were when somebody last looked at them.

After a change of the templates, look at the difference of what this writes:

    UPDATE_GOLDEN=1 pytest tests/chart/test_golden.py
"""

import os
import pathlib
import shutil

import pytest
import yaml

GOLDEN = pathlib.Path(__file__).with_name("golden")
NAMES = ["default", "gpu", "everything"]


def normalized(manifest):
    """The objects as YAML, without the script that the test pod runs and without a generated key."""
    objects = [item for item in yaml.safe_load_all(manifest) if item]
    for item in objects:
        if item["kind"] == "Pod":
            item["spec"]["containers"][0]["command"][2] = "files/test_release.py"
        if item["kind"] == "Secret":
            item["data"] = dict.fromkeys(item["data"], "")
    objects.sort(key=lambda item: (item["kind"], item["metadata"]["name"]))
    return yaml.safe_dump_all(objects, width=110)


@pytest.mark.parametrize("name", NAMES)
def test_renders_as_before(template, chart, name):
    rendered = normalized(template(yaml.safe_load((chart / "ci" / f"{name}-values.yaml").read_text())))
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_helm_4_renders_the_same(template, chart, name):
    helm4 = shutil.which("helm4")
    if helm4 is None:
        pytest.skip("there is no helm4 on PATH")
    values = yaml.safe_load((chart / "ci" / f"{name}-values.yaml").read_text())
    assert normalized(template(values, helm=helm4)) == (GOLDEN / f"{name}.yaml").read_text()


def test_everything_sets_every_value(chart):
    def leaves(node, path=()):
        if isinstance(node, dict) and node:
            for key, value in node.items():
                yield from leaves(value, (*path, key))
        else:
            yield path

    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    everything = yaml.safe_load((chart / "ci" / "everything-values.yaml").read_text())
    defaults["gpuFamilies"] = {}
    prefixes = {path[:length] for path in leaves(everything) for length in range(1, len(path) + 1)}
    assert set(leaves(defaults)) <= prefixes
