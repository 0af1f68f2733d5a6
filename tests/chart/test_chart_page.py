"""What Artifact Hub shows of the chart is true: images, changes, the kind of objects, the icon."""

import base64
import re
import subprocess

import pytest
import yaml


@pytest.fixture
def about(chart):
    return yaml.safe_load((chart / "Chart.yaml").read_text())


@pytest.fixture
def shown(about):
    """The value of an annotation, as YAML."""
    return lambda name: yaml.safe_load(about["annotations"][f"artifacthub.io/{name}"])


def test_all_parts_are_of_the_chart_s_version_which_is_not_out_yet(about, root):
    parts = {
        path.parent.name: re.search(r'^__version__ = "(.*)"$', path.read_text(), re.MULTILINE)[1]
        for path in root.glob("images/*/openaisle_*/__init__.py")
    }
    assert set(parts) == {"openaisle_opt", "openaisle_adapter", "openaisle_operator"}
    assert set(parts.values()) == {about["version"]} == {about["appVersion"]}
    assert f"\n## {about['version']}\n" in (root / "CHANGELOG.md").read_text()
    released = {chart.stem for chart in root.glob("tests/cluster/released/*.tgz")}
    assert f"openaisle-{about['version']}" not in released


def test_the_images_are_those_that_are_installed(about, shown, render):
    objects = render({"operator": {"enabled": True}, "image": {"registry": "docker.io"}})
    installed = {
        container["image"]
        for item in objects.all
        if item["kind"] in ("Deployment", "StatefulSet")
        for container in item["spec"]["template"]["spec"]["containers"]
    }
    assert {image["image"] for image in shown("images")} == installed
    assert all(image["image"].endswith(f":{about['appVersion']}") for image in shown("images"))


def test_the_changes_are_of_known_kinds(shown):
    kinds = {"added", "changed", "deprecated", "removed", "fixed", "security"}
    assert shown("changes")
    assert all(change["kind"] in kinds and change["description"] for change in shown("changes"))


def test_the_kind_of_objects_is_the_one_that_is_installed(shown, chart):
    definition = yaml.safe_load((chart / "files/optmodels.yaml").read_text())
    (crd,) = shown("crds")
    (version,) = definition["spec"]["versions"]
    assert crd["name"] == definition["metadata"]["name"]
    assert (crd["kind"], crd["version"]) == (definition["spec"]["names"]["kind"], version["name"])
    (example,) = shown("crdsExamples")
    assert example["kind"] == crd["kind"]
    assert example["apiVersion"] == f"{definition['spec']['group']}/{crd['version']}"
    known = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert example["spec"].keys() <= known.keys()


def test_the_icon_needs_no_host(about, chart):
    encoded = about["icon"].removeprefix("data:image/svg+xml;base64,")
    assert base64.b64decode(encoded) == (chart / "icon.svg").read_bytes()


def test_helm_has_nothing_to_remark(helm, chart):
    result = subprocess.run([helm, "lint", "--strict", chart], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    assert "[" not in result.stdout, result.stdout
