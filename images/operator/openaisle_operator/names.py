"""Which names are free: those of objects, and those that clients use (pure functions)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import Refused

Object = dict[str, Any]


def check_names(model: Object, served: str, others: Sequence[Object], release_models: dict[str, str]) -> None:
    """Refuse a name that someone has, before an object is made.

    A name for clients may be shared by models that write it in servedModelName, which is how one model is
    served from GPUs of different makers. By default the name is the model's id, and sharing it an accident.

    Args:
        model: the OPTModel.
        served: the name for clients that it would get.
        others: the other OPTModels in the namespace.
        release_models: names for clients of the models in the release's values, by the models' names.

    Raises:
        Refused: the name is taken.
    """
    name = model["metadata"]["name"]
    if name in release_models:
        raise Refused(
            "NameTaken",
            f"models in the release's values has an entry called {name}; give one of them another name.",
        )
    if model.get("spec", {}).get("servedModelName"):
        return
    holders = [
        f"the entry {holder} of models in the release's values"
        for holder, its in release_models.items()
        if its == served
    ]
    for other in others:
        if _holds(other, served) and not (_holds(model, served) and _older(model, other)):
            holders.append(f"the OPTModel {other['metadata']['name']}")
    if holders:
        raise Refused(
            "ServedNameTaken",
            f"{served} is served by {holders[0]} already; write another servedModelName, or write "
            f"servedModelName: {served} to share its requests.",
        )


def _holds(model: Object, served: str) -> bool:
    """Whether the model serves by this name now."""
    return bool(model.get("status", {}).get("servedName") == served)


def _older(model: Object, other: Object) -> bool:
    def age(item: Object) -> tuple[str, str]:
        return item["metadata"]["creationTimestamp"], item["metadata"]["name"]

    return age(model) < age(other)
