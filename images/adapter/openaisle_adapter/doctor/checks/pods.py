"""The release's pods: which are ready, and why the others aren't."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..finding import Finding
from ..view import COMPONENT, MODEL_NAME, Object, View, labels, name
from . import pending, waiting

SLOW_START_S = 10.0
"""A container that is being created for longer lacks something, mostly a volume."""


def check_pods(view: View) -> Iterator[Finding]:
    """A line for each workload whose pods are ready, and one for each pod that isn't.

    Raises:
        Unseen: the account may not list pods or workloads.
    """
    pods = view.of_release("pods")
    for kind in ("statefulsets", "deployments"):
        for workload in view.of_release(kind):
            yield from _workload(view, workload, [pod for pod in pods if _belongs(pod, workload)])


def _belongs(pod: Object, workload: Object) -> bool:
    wanted = workload["spec"]["selector"]["matchLabels"]
    return all(labels(pod).get(label) == value for label, value in wanted.items())


def _workload(view: View, workload: Object, pods: list[Object]) -> Iterator[Finding]:
    replicas = int(workload["spec"].get("replicas", 1))
    if not replicas:
        yield _at_rest(view, workload)
        return
    going = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    if len(going) < replicas and (refusal := _refused_pod(view, workload)):
        yield Finding(
            "pods",
            "fail",
            f"{subject(workload)}: {replicas - len(going)} of {replicas} pods cannot be made: {refusal}",
            f"kubectl -n {view.namespace} get events --field-selector reason=FailedCreate",
            "not-created",
        )
    unwell = [finding for pod in going if (finding := diagnose(view, pod))]
    yield from unwell
    ready = sum(1 for pod in going if _is_ready(pod))
    if not unwell and ready >= replicas:
        yield Finding("pods", "ok", f"{subject(workload)}: {ready} of {replicas} pods ready")


def _at_rest(view: View, workload: Object) -> Finding:
    """A model may rest; a part of OpenAISLE that does is missed."""
    text = f"{subject(workload)}: zero replicas"
    if MODEL_NAME in labels(workload):
        return Finding("pods", "ok", f"{text}, as its values say")
    command = f"kubectl -n {view.namespace} scale deployment/{name(workload)} --replicas=1"
    return Finding("pods", "warn", f"{text}, so that nothing does its work", command, "not-created")


def subject(item: Object) -> str:
    """How the report calls a workload or pod: `model opt-125m`, `adapter`."""
    found = labels(item)
    return f"model {found[MODEL_NAME]}" if MODEL_NAME in found else found.get(COMPONENT, name(item))


def _refused_pod(view: View, workload: Object) -> str:
    """What the API server said when it refused to make the workload's last pod; quota, policy, classes."""
    for event in sorted(view.all("events"), key=_time, reverse=True):
        about = event["involvedObject"]["name"]
        if event.get("reason") == "FailedCreate" and (
            about == name(workload) or about.startswith(f"{name(workload)}-")
        ):
            return " ".join(str(event.get("message", "")).split())[:300]
    return ""


def diagnose(view: View, pod: Object) -> Finding | None:
    """What is wrong with a pod; None for one that is ready."""
    status = pod.get("status") or {}
    where = f"{subject(pod)}: the pod {name(pod)}"
    if status.get("phase") == "Failed":
        return Finding(
            "pods",
            "fail",
            f"{where} was ended: {status.get('message') or status.get('reason') or 'its container failed'}",
            f"kubectl -n {view.namespace} describe pod {name(pod)}",
            "evicted" if status.get("reason") == "Evicted" else "crashloop",
        )
    unscheduled = condition(status, "PodScheduled")
    if unscheduled.get("status") == "False":
        return pending.explain(view, pod, where, str(unscheduled.get("message", "")))
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    for container in containers:
        if finding := waiting.explain(view, pod, where, container):
            return finding
    if _is_ready(pod):
        return None
    return _starting(view, pod, where, containers)


def _starting(view: View, pod: Object, where: str, containers: list[dict[str, Any]]) -> Finding:
    seconds = view.seconds_since(pod["status"].get("startTime", ""))
    if not any("running" in container.get("state", {}) for container in containers):
        if seconds > SLOW_START_S and (reason := _last_warning(view, pod)):
            return Finding("pods", "fail", f"{where} isn't started: {reason}", volume_cure(reason), "volumes")
        return Finding(
            "pods", "warn", f"{where} is being created", "wait a moment, then ask again", "not-ready"
        )
    if any(item["name"] == "download" and "running" in item.get("state", {}) for item in containers):
        return Finding(
            "pods",
            "warn",
            f"{where} fetches its weights, {seconds:.0f} s after its start",
            f"how far it is: kubectl -n {view.namespace} logs {name(pod)} -c download --tail=1",
            "not-ready",
        )
    return Finding(
        "pods",
        "warn",
        f"{where} isn't ready yet, {seconds:.0f} s after its start",
        f"how far it is: kubectl -n {view.namespace} logs {name(pod)} --all-containers --tail=5",
        "not-ready",
    )


def volume_cure(reason: str) -> str:
    """What to do when a volume cannot be mounted."""
    if "secret" in reason and "not found" in reason:
        return "make the Secret that it names; the pod starts by itself then"
    return "see that the volume is there and may be mounted on this node"


def _last_warning(view: View, pod: Object) -> str:
    warnings = [
        event
        for event in view.all("events")
        if event["involvedObject"]["name"] == name(pod) and event.get("type") == "Warning"
    ]
    if not warnings:
        return ""
    return " ".join(str(max(warnings, key=_time).get("message", "")).split())[:300]


def _time(event: Object) -> str:
    return (
        event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"] or ""
    )


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """A condition of a pod's status; empty if it has none of this type."""
    for item in status.get("conditions") or []:
        if item["type"] == kind:
            found: dict[str, Any] = item
            return found
    return {}


def _is_ready(pod: Object) -> bool:
    return condition(pod.get("status") or {}, "Ready").get("status") == "True"
