"""Whether a pod may land on a node: the scheduler's rules on labels, taints and room, without its queue."""

from __future__ import annotations

from typing import Any

from .quantity import number
from .view import Object, labels, name


def wanted_terms(pod_spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The node affinity that is required: one of these terms has to match; none: any node will do."""
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return list(required.get("nodeSelectorTerms") or [])


def labels_match(pod_spec: dict[str, Any], node: Object) -> bool:
    """Whether the node has the labels that the pod asks for."""
    has = labels(node)
    if any(has.get(label) != value for label, value in (pod_spec.get("nodeSelector") or {}).items()):
        return False
    terms = wanted_terms(pod_spec)
    return not terms or any(_term_matches(term, node) for term in terms)


def _term_matches(term: dict[str, Any], node: Object) -> bool:
    by_label = term.get("matchExpressions") or []
    by_field = term.get("matchFields") or []
    if not by_label and not by_field:
        return False
    fields = {"metadata.name": name(node)}
    return all(_expression_matches(item, labels(node)) for item in by_label) and all(
        _expression_matches(item, fields) for item in by_field
    )


def _expression_matches(expression: dict[str, Any], has: dict[str, str]) -> bool:
    value = has.get(expression["key"])
    values = expression.get("values") or []
    operator = expression["operator"]
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def untolerated(pod_spec: dict[str, Any], node: Object) -> list[str]:
    """The node's taints that keep the pod away, as `kubectl taint` writes them."""
    tolerations = pod_spec.get("tolerations") or []
    return [
        _written(taint)
        for taint in node["spec"].get("taints") or []
        if taint["effect"] != "PreferNoSchedule" and not any(_tolerates(item, taint) for item in tolerations)
    ]


def _written(taint: dict[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _tolerates(toleration: dict[str, Any], taint: dict[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", "")


def lacks(pod_spec: dict[str, Any], node: Object) -> list[str]:
    """What the empty node has less of than the pod asks for: `memory (40Gi, and it has 16Gi)`."""
    requests: dict[str, Any] = {}
    for container in pod_spec["containers"]:
        requests |= (container.get("resources") or {}).get("requests") or {}
    has = node["status"].get("allocatable") or {}
    return [
        f"{resource} ({wanted}, and {name(node)} has {has.get(resource, '0')})"
        for resource, wanted in requests.items()
        if number(str(wanted)) > number(str(has.get(resource, "0")))
    ]


def is_ready(node: Object) -> bool:
    """Whether the node is up and takes new pods."""
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions") or []}
    return conditions.get("Ready") == "True" and not node["spec"].get("unschedulable")
