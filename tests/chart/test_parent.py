"""The chart as a dependency of another: under an alias, twice, and behind a condition."""

import shutil

import pytest
import yaml


@pytest.fixture
def parent(chart, tmp_path):
    """A chart that has this one in it twice, as `llm` and, unless its values say otherwise, as `second`."""
    folder = tmp_path / "parent"
    (folder / "charts").mkdir(parents=True)
    shutil.copytree(chart, folder / "charts" / "openaisle")
    dependencies = [
        {"name": "openaisle", "version": ">=0", "alias": name, "condition": f"{name}.enabled"}
        for name in ("llm", "second")
    ]
    description = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": dependencies}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(description))
    return folder


@pytest.fixture
def rendered(render, parent):
    return lambda values: render({"global": {"region": "eu"}, **values}, chart=parent, release="prod")


def test_a_condition_decides_whether_it_is_installed(rendered):
    objects = rendered({"llm": {"enabled": True}, "second": {"enabled": False}})
    assert objects.of("StatefulSet").keys() == {"prod-llm-tiny-opt"}
    assert objects.of("Deployment").keys() == {"prod-llm-adapter", "prod-llm-demo"}


def test_each_of_two_gateways_finds_its_own_models(rendered):
    objects = rendered({"second": {"fullnameOverride": "second", "models": [{"name": "a"}, {"name": "b"}]}})

    def backends(gateway):
        (flag,) = (
            argument.removeprefix("--selector=")
            for argument in objects.container(gateway)["args"]
            if argument.startswith("--selector=")
        )
        wanted = dict(part.split("=") for part in flag.split(","))
        return {
            name
            for name, service in objects.of("Service").items()
            if wanted.items() <= service["metadata"]["labels"].items()
        }

    assert backends("prod-llm-adapter") == {"prod-llm-tiny-opt"}
    assert backends("second-adapter") == {"second-a", "second-b"}


def test_each_of_two_doctors_knows_what_it_is_called(rendered):
    objects = rendered({"second": {"fullnameOverride": "other"}})
    for name, chart in (("prod-llm-adapter", "llm"), ("other-adapter", "second"), ("other-test", "second")):
        variables = {entry["name"]: entry["value"] for entry in objects.container(name)["env"]}
        assert (variables["OPENAISLE_RELEASE"], variables["OPENAISLE_CHART"]) == ("prod", chart)
        assert objects.pod(name)["metadata"]["labels"]["app.kubernetes.io/name"] == chart
