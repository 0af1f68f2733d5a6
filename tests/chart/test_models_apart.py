"""A change of one model touches that model's objects only."""

import pytest

KEYS = {"auth": {"keys": {"alice": "sk-12345678"}}, "operator": {"enabled": False}}
# One's answers take longest, so no other model lengthens what the gateway and the page leave running answers.
ONE = {"name": "one", "gracePeriodSeconds": 600}
TWO = {"name": "two", "model": "facebook/opt-125m", "weights": {"cache": {"type": "claim"}}}
THREE = {
    "name": "three",
    "model": "facebook/opt-1.3b",
    "gpuFamily": ["turing", "volta"],
    "chatTemplate": "hi",
}


@pytest.fixture
def changed(render):
    """changed(before, after) -> names of the objects that differ between two lists of models."""

    def compare(before, after, **defaults):
        old, new = (
            {
                (item["kind"], item["metadata"]["name"]): item
                for item in render({**KEYS, "models": models, **settings}).all
                # It asks for the first model.
                if item["kind"] != "Pod"
            }
            for models, settings in ((before, {}), (after, defaults))
        )
        return {
            name for kind, name in old.keys() | new.keys() if old.get((kind, name)) != new.get((kind, name))
        }

    return compare


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 3},
        {"extraArgs": ["--max-num-seqs", "4"]},
        {"servedModelName": "second"},
        {"rollout": "surge"},
        {"gpuFamily": "volta"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_edited_model(changed, change):
    assert changed([ONE, THREE], [ONE, {**THREE, **change}]) == {"openaisle-three"}


def test_an_added_and_a_removed_model(changed):
    assert changed([ONE], [ONE, TWO]) == {"openaisle-two"}
    assert {name.removesuffix("-chat-template") for name in changed([ONE, THREE], [ONE])} == {
        "openaisle-three"
    }


def test_a_model_with_longer_answers_gives_the_gateway_and_the_page_more_time_too(changed):
    longer = {**ONE, "gracePeriodSeconds": 900}
    assert changed([ONE], [longer]) == {"openaisle-one", "openaisle-adapter", "openaisle-demo"}


def test_the_order_of_models_is_of_no_account(changed):
    assert changed([ONE, TWO, THREE], [THREE, ONE, TWO]) == set()


def test_a_default_that_a_model_overrides_does_not_touch_it(changed):
    before = [ONE, {**THREE, "replicas": 1}]
    assert changed(before, before, modelDefaults={"replicas": 2}) == {"openaisle-one"}
