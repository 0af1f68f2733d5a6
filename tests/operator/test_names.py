"""Who has which name."""

import pytest
from openaisle_operator.errors import Refused
from openaisle_operator.names import check_names

from tests.operator.conftest import opt_model

SERVED = "openaisle/tiny-opt"


def serving(model, name=SERVED):
    return {**model, "status": {"servedName": name}}


def refusal(*arguments):
    with pytest.raises(Refused) as refused:
        check_names(*arguments)
    return refused.value


def test_a_free_name():
    check_names(opt_model("b"), SERVED, [serving(opt_model("a"), "another")], {"c": "a third"})


def test_the_name_of_an_entry_of_the_releases_models():
    refused = refusal(opt_model("one"), "free", [], {"one": SERVED})
    assert refused.reason == "NameTaken"
    assert "has an entry called one" in str(refused)


def test_a_served_name_of_the_releases_models():
    refused = refusal(opt_model("two"), SERVED, [], {"one": SERVED})
    assert refused.reason == "ServedNameTaken"
    assert "openaisle/tiny-opt is served by the entry one of models in the release's values" in str(refused)


def test_a_served_name_of_another_opt_model():
    refused = refusal(opt_model("b"), SERVED, [serving(opt_model("a"))], {})
    assert refused.reason == "ServedNameTaken"
    assert "served by the OPTModel a already" in str(refused)
    assert "servedModelName: openaisle/tiny-opt to share its requests" in str(refused)


def test_a_name_that_is_shared_on_purpose():
    check_names(opt_model("b", servedModelName=SERVED), SERVED, [serving(opt_model("a"))], {"one": SERVED})


def test_of_two_that_serve_by_one_name_the_older_keeps_it():
    old, young = serving(opt_model("old", age=9)), serving(opt_model("young", age=1))
    check_names(old, SERVED, [young], {})
    assert refusal(young, SERVED, [old], {}).reason == "ServedNameTaken"


def test_a_name_of_one_that_does_not_serve_is_free():
    check_names(opt_model("b"), SERVED, [opt_model("a", age=9)], {})
