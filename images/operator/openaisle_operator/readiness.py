"""Whether a model answers, and if not, why: read from its workload and pods (pure functions)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .conditions import Condition

IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
}
WAITING_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
TROUBLES = (
    "PodRefused",
    "Pending",
    "ImagePull",
    "ContainerError",
    "WeightsFailed",
    "OutOfMemory",
    "CrashLoop",
    "Evicted",
)
"""Reasons that a person has to look at; the others pass by themselves."""

Object = dict[str, Any]


def ready_condition(
    workload: Object | None, pods: Sequence[Object], failures: Sequence[Object] = ()
) -> Condition:
    """The condition Ready of a model.

    Args:
        workload: its StatefulSet or Deployment.
        pods: the workload's.
        failures: Events that tell why a pod could not be made.
    """
    if workload is None:
        return Condition("Ready", False, "NotMade", "The model has no objects; see the condition Accepted.")
    wanted = workload["spec"].get("replicas", 1)
    status = workload.get("status", {})
    ready = status.get("readyReplicas", 0)
    if wanted == 0:
        return Condition(
            "Ready", False, "ScaledToZero", "The model has no replicas; write replicas: 1 or more."
        )
    current = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    if current and ready >= wanted and status.get("updatedReplicas", 0) >= wanted:
        return Condition("Ready", True, "Serving", f"{ready} of {wanted} replicas are ready.")
    for pod in pods:
        trouble = trouble_of(pod)
        if trouble:
            reason, message = trouble
            return Condition("Ready", False, reason, f"{pod['metadata']['name']}: {message}")
    refused = pod_refusal(workload, failures)
    if len(pods) < wanted and refused:
        return Condition("Ready", False, "PodRefused", refused)
    if ready:
        return Condition("Ready", False, "Updating", f"{ready} of {wanted} replicas are ready.")
    return Condition(
        "Ready", False, "Loading", f"0 of {wanted} replicas are ready; the weights are being loaded."
    )


def pod_refusal(workload: Object, failures: Sequence[Object]) -> str:
    """Why the API server lets no pod be made, such as a quota; empty if nothing tells."""
    for condition in workload.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    newest = max(failures, key=lambda event: event.get("lastTimestamp") or "", default={})
    return str(newest.get("message", ""))


def trouble_of(pod: Object) -> tuple[str, str] | None:
    """What keeps the pod from serving, as a reason of TROUBLES and a sentence; None if it only takes time."""
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return None
    if status.get("phase") == "Failed":
        return "Evicted", status.get("message") or status.get("reason") or "the pod has failed."
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return "Pending", condition.get("message") or "no node takes the pod."
    for container in status.get("initContainerStatuses", []):
        found = _container_trouble(container, "WeightsFailed")
        if found:
            return found
    for container in status.get("containerStatuses", []):
        found = _container_trouble(container, "CrashLoop")
        if found:
            return found
    return None


def _container_trouble(container: Object, crash_reason: str) -> tuple[str, str] | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in IMAGE_REASONS:
        return "ImagePull", waiting.get("message") or f"the image {container.get('image')} isn't to be had."
    if reason in WAITING_REASONS:
        return "ContainerError", waiting.get("message") or reason
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if not ended or ended.get("exitCode") == 0 or container.get("ready"):
        return None
    if ended.get("reason") == "OOMKilled":
        return "OutOfMemory", (
            f"the container {container['name']} took more memory than its limit; "
            "leave resources empty, and it is computed from the model's size."
        )
    return crash_reason, last_line(ended.get("message", "")) or (
        f"the container {container['name']} ended with code {ended.get('exitCode')}; "
        "kubectl logs --previous shows its last words."
    )


def last_line(text: str) -> str:
    """The last line that isn't empty: a program's last word."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
