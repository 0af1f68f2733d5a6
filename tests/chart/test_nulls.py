"""A key with nothing behind it is null to YAML, and to Helm the wish to take the chart's default away."""

import itertools

import pytest
import yaml


@pytest.fixture
def defaults(chart):
    values = yaml.safe_load((chart / "values.yaml").read_text())
    return values | {"gpuFamilies": {"cpu": {}}}


def paths(node, path=()):
    for key, value in node.items():
        yield (*path, key), value
        if isinstance(value, dict):
            yield from paths(value, (*path, key))


def nulls(keys):
    """Values in which these paths are null."""
    values = {}
    for *parents, key in keys:
        node = values
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = None
    return values


def test_what_is_empty_by_default_may_be_null(defaults, render):
    empty = [path for path, value in paths(defaults) if not value and path[0] != "gpuFamilies"]
    assert len(empty) > 40
    assert "openaisle-tiny-opt" in render(nulls(empty)).of("StatefulSet")


def test_a_section_or_value_that_is_needed_is_named(chart, refusal):
    needed = [tuple(path.split(".")) for path in yaml.safe_load((chart / "files/required.yaml").read_text())]
    assert ("ingress",) in needed
    assert ("modelDefaults", "weights", "cache", "type") in needed
    for _, group in itertools.groupby(sorted(needed, key=len), key=len):
        keys = list(group)
        message = refusal(nulls(keys))
        for key in keys:
            name = ".".join(key)
            assert f"- {name}: it is null (there is nothing behind it), which takes the chart's" in message
        assert message.count("\n- ") == len(keys)


def test_no_model_is_a_list_that_is_null(render):
    assert render({"models": None}).of("StatefulSet") == {}


def test_an_upgrade_that_reuses_the_values_of_an_older_chart_is_told_what_to_write(refusal):
    message = refusal(nulls([("doctor",), ("adapter", "waitSeconds")]), "--is-upgrade")
    assert message.count("\n- ") == 1
    assert (
        "- adapter.waitSeconds, doctor: missing. With --reuse-values an upgrade has only those values that "
        "the chart before it had; write --reset-then-reuse-values instead."
    ) in message
