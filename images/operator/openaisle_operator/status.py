"""What an OPTModel's status says beside its conditions, read from the model's objects (pure functions)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SERVED_NAME = "openaisle.io/model"
"""Annotation of Services and pods with the model's name for clients; the gateway reads it too."""
GPU_FAMILY = "openaisle.io/gpu-family"

Object = dict[str, Any]


def summary(model: Object, workload: Object | None) -> Object:
    """What kubectl's columns and the scale subresource show; None where there is nothing."""
    if workload is None:
        family = (model.get("spec") or {}).get("gpuFamily")
        if isinstance(family, list):
            family = next(iter(family), None)
        return {
            "replicas": 0,
            "readyReplicas": 0,
            "selector": None,
            # The definition lets anything through here, which the chart refuses.
            "gpuFamily": family if isinstance(family, str) else None,
            "servedName": None,
        }
    metadata = workload["spec"]["template"]["metadata"]
    status = workload.get("status", {})
    return {
        "replicas": status.get("replicas", 0),
        "readyReplicas": status.get("readyReplicas", 0),
        "selector": pod_selector(workload),
        "gpuFamily": metadata["labels"].get(GPU_FAMILY),
        "servedName": metadata["annotations"].get(SERVED_NAME),
    }


def pod_selector(workload: Object) -> str:
    """The labels of a workload's pods, as the API takes them."""
    return ",".join(
        f"{key}={value}" for key, value in sorted(workload["spec"]["selector"]["matchLabels"].items())
    )


def served_name(items: Sequence[Object]) -> str:
    """The name for clients that a model's rendered objects carry."""
    for item in items:
        name = item["metadata"].get("annotations", {}).get(SERVED_NAME)
        if name:
            return str(name)
    return ""
