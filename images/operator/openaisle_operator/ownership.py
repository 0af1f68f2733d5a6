"""How an object shows that it belongs to an OPTModel (pure functions)."""

from __future__ import annotations

import copy
from typing import Any

LABEL = "openaisle.io/optmodel"
MANAGED_BY = "openaisle-operator"
KEEP = "helm.sh/resource-policy"
"""The annotation of what an uninstall leaves, such as a volume with weights."""

Object = dict[str, Any]


def owned(item: Object, model: Object) -> Object:
    """The object as the chart renders it, marked as the model's, with which it goes (unless kept)."""
    item = copy.deepcopy(item)
    metadata = item["metadata"]
    metadata["labels"] = {
        **metadata.get("labels", {}),
        "app.kubernetes.io/managed-by": MANAGED_BY,
        LABEL: model["metadata"]["name"],
    }
    if not kept(item):
        metadata["ownerReferences"] = [
            {
                "apiVersion": model["apiVersion"],
                "kind": model["kind"],
                "name": model["metadata"]["name"],
                "uid": model["metadata"]["uid"],
                "controller": True,
            }
        ]
    return item


def kept(item: Object) -> bool:
    """Whether the object outlives its model."""
    return bool(item["metadata"].get("annotations", {}).get(KEEP) == "keep")


def owners(item: Object) -> set[str]:
    """The owners' uids."""
    return {reference["uid"] for reference in item["metadata"].get("ownerReferences", [])}
