"""Objects as the API server gives them, of a release called `openaisle` in the namespace `lab`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from openaisle_adapter.doctor.cluster import CLUSTER_WIDE, NAMESPACED
from openaisle_adapter.doctor.view import View

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
EARLIER = "2026-01-01T11:55:00Z"
Object = dict[str, Any]


def view(**objects: Any) -> View:
    """A view with the given objects by kind; other kinds are empty, and None is a kind that is hidden."""
    kinds = [*NAMESPACED, *CLUSTER_WIDE]
    return View("lab", "openaisle", {kind: objects.get(kind, []) for kind in kinds}, NOW)


def release_labels(component: str, model: str = "") -> dict[str, str]:
    labels = {
        "app.kubernetes.io/instance": "openaisle",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "openaisle",
    }
    return labels | ({"openaisle.io/model-name": model} if model else {})


def model(
    name: str = "m",
    *,
    family: str = "cpu",
    image: str = "openaisle/opt:0.2.0",
    replicas: int = 1,
    ready: int = 0,
    resource: str = "",
    gpus: int = 1,
    env: list[Object] | None = None,
    affinity: dict[str, list[str]] | None = None,
    memory: str = "1Gi",
    **spec: Any,
) -> Object:
    """The StatefulSet of a model; `affinity` maps a label to the values of which a node needs one."""
    limits = {"cpu": "4", "memory": memory} | ({resource: str(gpus)} if resource else {})
    pod_spec: Object = {
        "containers": [
            {
                "name": "opt",
                "image": image,
                "env": env or [],
                "resources": {"limits": limits, "requests": limits | {"cpu": "1"}},
            }
        ],
        **spec,
    }
    if affinity:
        terms = [
            {"matchExpressions": [{"key": label, "operator": "In", "values": values}]}
            for label, values in affinity.items()
        ]
        pod_spec["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        }
    return {
        "metadata": {"name": f"openaisle-{name}", "labels": release_labels("opt", name)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": release_labels("opt", name)},
            "template": {
                "metadata": {
                    "labels": release_labels("opt", name) | {"openaisle.io/gpu-family": family},
                    "annotations": {"openaisle.io/model": f"lab/{name}"},
                },
                "spec": pod_spec,
            },
        },
        "status": {"readyReplicas": ready},
    }


def node(
    name: str,
    labels: dict[str, str] | None = None,
    *,
    gpus: dict[str, int] | None = None,
    taints: list[Object] | None = None,
    memory: str = "64Gi",
    ready: bool = True,
    cordoned: bool = False,
    pressure: str = "",
) -> Object:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if pressure:
        conditions.append({"type": pressure, "status": "True"})
    allocatable = {"cpu": "8", "memory": memory} | {key: str(count) for key, count in (gpus or {}).items()}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": taints or []} | ({"unschedulable": True} if cordoned else {}),
        "status": {"allocatable": allocatable, "conditions": conditions},
    }


def pod(name: str = "m", *, ready: bool = False, family: str = "cpu", **status: Any) -> Object:
    """The first pod of a model."""
    conditions = status.pop("conditions", [])
    return {
        "metadata": {
            "name": f"openaisle-{name}-0",
            "labels": release_labels("opt", name) | {"openaisle.io/gpu-family": family},
        },
        "spec": {"containers": [{"name": "opt", "resources": {"limits": {"memory": "1Gi"}}}]},
        "status": {
            "phase": "Running",
            "startTime": EARLIER,
            "conditions": [*conditions, {"type": "Ready", "status": "True" if ready else "False"}],
            **status,
        },
    }


def event(about: str, reason: str, message: str, kind: str = "Warning") -> Object:
    return {
        "metadata": {"name": f"{about}.1", "creationTimestamp": EARLIER},
        "involvedObject": {"name": about},
        "reason": reason,
        "type": kind,
        "message": message,
        "lastTimestamp": EARLIER,
    }


def claim(
    name: str, phase: str = "Bound", modes: tuple[str, ...] = ("ReadWriteOnce",), **spec: str
) -> Object:
    return {
        "metadata": {"name": name},
        "spec": {"accessModes": list(modes), **spec},
        "status": {"phase": phase},
    }
