"""An OPTModel is what an entry of `models` is: the same objects, the same refusals."""

import dataclasses
import pathlib

import pytest
from openaisle_operator.errors import Refused, StartError
from openaisle_operator.rendering import Renderer, without_empty_lists

from tests.operator.conftest import KUBE_VERSION, read_values

CI = sorted((pathlib.Path(__file__).resolve().parents[2] / "charts/openaisle/ci").glob("*-values.yaml"))


def by_kind_and_name(items):
    return {(item["kind"], item["metadata"]["name"]): item for item in items}


@pytest.mark.parametrize("file", CI, ids=lambda path: path.stem)
async def test_makes_the_objects_that_the_chart_makes(file, renderer, render):
    values = read_values(file)
    models = values.get("models", [{"name": "tiny-opt"}])
    whole = by_kind_and_name(render({**values, "models": models}, f"--kube-version={KUBE_VERSION}").all)
    alone = renderer({**values, "models": []})
    for model in models:
        spec = {key: value for key, value in model.items() if key != "name"}
        made = by_kind_and_name(await alone.render(model["name"], spec))
        assert {kind for kind, _ in made} >= {"Service", "NetworkPolicy"}
        assert made == {key: without_empty_lists(whole[key]) for key in made}
        # None is left out: what is made without the model is all that the rest of the chart has.
        for key in made:
            del whole[key]
    rest = render({**values, "models": []}, f"--kube-version={KUBE_VERSION}")
    assert whole.keys() - by_kind_and_name(rest.all).keys() == set()


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"gpuFamily": "turning"}, "UnknownFamily", "gpuFamily turning doesn't exist; choose cpu or one of "),
        (
            {"model": "facebook/opt-66b", "gpuFamily": "turing"},
            "DoesNotFit",
            "the model doesn't fit: facebook/opt-66b of float16 weights 122.4 GiB",
        ),
        ({"gpus": 2}, "InvalidSpec", "gpus is 2 on gpuFamily cpu, which has no GPUs"),
        ({"gpus": 100}, "InvalidSpec", "spec.gpus: maximum: got 100, want 64"),
        ({"gpuFamily": ["cpu", 7]}, "InvalidSpec", "spec.gpuFamily.1: got number, want string"),
        ({"weights": {"from": "claim"}}, "InvalidSpec", "write the claim's name in weights.claimName"),
        (
            {"env": [{"name": "A", "value": 5}]},
            "InvalidSpec",
            "spec.env.0.value: got number, want string",
        ),
    ],
)
async def test_says_what_the_chart_says(renderer, spec, reason, message):
    with pytest.raises(Refused) as refused:
        await renderer().render("m", spec)
    assert refused.value.reason == reason
    assert message in str(refused.value)
    assert "models[0]" not in str(refused.value)
    assert "Of' failed" not in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_name_that_is_too_long(renderer):
    with pytest.raises(Refused) as refused:
        await renderer().render("a" * 50, {})
    assert refused.value.reason == "NameTooLong"
    assert "shorten the model's name" in str(refused.value)


async def test_the_releases_defaults_hold(renderer):
    values = {"modelDefaults": {"replicas": 3}, "fullnameOverride": "lab", "commonLabels": {"team": "nlp"}}
    made = by_kind_and_name(await renderer(values).render("m", {}))
    workload = made["StatefulSet", "lab-m"]
    assert workload["spec"]["replicas"] == 3
    assert workload["metadata"]["labels"]["team"] == "nlp"


async def test_a_family_that_the_release_took_away_is_away(renderer):
    with pytest.raises(Refused) as refused:
        await renderer({"gpuFamilies": {"kepler": None}}).render("m", {"gpuFamily": "kepler"})
    assert refused.value.reason == "UnknownFamily"


async def test_a_family_that_the_release_adds_is_there(renderer):
    family = {"resourceName": "nvidia.com/gpu", "imageVariants": ["cu126"], "dtype": "float16"}
    made = by_kind_and_name(
        await renderer({"gpuFamilies": {"ours": family}}).render("m", {"gpuFamily": "ours"})
    )
    (container,) = made["StatefulSet", "openaisle-m"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_a_release_of_another_chart_is_refused_at_the_start(release, helm, chart, tmp_path):
    other = dataclasses.replace(release(), chart_version="9.9.9")
    with pytest.raises(StartError, match=r"made by version 9\.9\.9 of the chart and this image carries"):
        Renderer(helm, chart, other, KUBE_VERSION, tmp_path / "work")


def test_the_operator_learns_no_key_of_clients(release):
    made = release({"auth": {"keys": {"alice": "sk-very-secret"}}, "adapter": {"env": []}})
    assert "auth" not in made.values
    assert "sk-very-secret" not in str(made)


def test_the_operator_knows_the_releases_own_models(release):
    models = [{"name": "one"}, {"name": "two", "servedModelName": "second"}]
    assert release({"models": models}).served_names == {"one": "openaisle/tiny-opt", "two": "second"}


@pytest.mark.parametrize("text", ["12e45", "1_000", "0o17", "on", "null", "2026-11-27"])
async def test_a_text_stays_a_text(renderer, text):
    """helm and Python don't take the same words of YAML for numbers."""
    spec = {"model": "facebook/opt-125m", "weights": {"revision": text}, "podAnnotations": {"note": text}}
    made = by_kind_and_name(await renderer({"commonLabels": {"note": text}}).render("m", spec))
    template = made["StatefulSet", "openaisle-m"]["spec"]["template"]
    assert template["metadata"]["annotations"]["note"] == template["metadata"]["labels"]["note"] == text
    assert f"--revision={text}" in template["spec"]["containers"][0]["args"]
