"""Models made with `kubectl apply`: those that the operator has not accepted have no pods to look at."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from ..view import View, name
from .pods import condition


def check_optmodels(view: View) -> Iterator[Finding]:
    """A line for each OPTModel without objects, or one for all that have them; none without an operator.

    Raises:
        Unseen: the account may not list OPTModels or workloads.
    """
    if not view.of_release("deployments", "operator"):
        return
    optmodels = view.all("optmodels")
    refused = False
    for optmodel in optmodels:
        accepted = condition(optmodel.get("status") or {}, "Accepted")
        if accepted.get("status") == "True":
            continue
        refused = True
        text = accepted.get("message") or "the operator hasn't looked at it yet"
        yield Finding(
            "optmodels",
            "fail" if accepted else "warn",
            f"OPTModel {name(optmodel)}: {text}",
            f"kubectl -n {view.namespace} edit optmodel {name(optmodel)}"
            if accepted
            else "wait a moment, then ask again; if that doesn't help, see the operator's pod below",
            "optmodels",
        )
    if optmodels and not refused:
        yield Finding("optmodels", "ok", f"{len(optmodels)} of {len(optmodels)} OPTModels accepted")
