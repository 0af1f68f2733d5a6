"""What the doctor says of models made with `kubectl apply`."""

import pytest
from openaisle_adapter.doctor.checks.optmodels import check_optmodels
from openaisle_adapter.doctor.view import Unseen

from tests.adapter.doctor.objects import release_labels, view

OPERATOR = {"metadata": {"name": "openaisle-operator", "labels": release_labels("operator")}}


def optmodel(name, status="", message=""):
    conditions = [{"type": "Accepted", "status": status, "message": message}] if status else []
    return {"metadata": {"name": name}, "status": {"conditions": conditions}}


def test_one_that_is_not_accepted_is_told_with_the_reason():
    wrong = optmodel("stories", "False", "gpuFamily T4 doesn't exist; the T4 is in the family turing.")
    found = view(deployments=[OPERATOR], optmodels=[optmodel("tales", "True"), wrong])
    (finding,) = check_optmodels(found)
    assert finding.status == "fail"
    assert finding.text == ("OPTModel stories: gpuFamily T4 doesn't exist; the T4 is in the family turing.")
    assert finding.cure == "kubectl -n lab edit optmodel stories"


def test_one_that_the_operator_has_not_seen():
    (finding,) = check_optmodels(view(deployments=[OPERATOR], optmodels=[optmodel("stories")]))
    assert finding.status == "warn"
    assert "hasn't looked at it yet" in finding.text


def test_all_that_are_accepted_are_one_line():
    accepted = [optmodel("a", "True"), optmodel("b", "True")]
    (finding,) = check_optmodels(view(deployments=[OPERATOR], optmodels=accepted))
    assert (finding.status, finding.text) == ("ok", "2 of 2 OPTModels accepted")


def test_without_an_operator_nothing_is_said():
    """Those of the namespace are another release's."""
    assert list(check_optmodels(view(optmodels=[optmodel("a", "False", "x")]))) == []
    assert list(check_optmodels(view(optmodels=None))) == []


def test_those_that_may_not_be_seen():
    with pytest.raises(Unseen, match="optmodels"):
        list(check_optmodels(view(deployments=[OPERATOR], optmodels=None)))
