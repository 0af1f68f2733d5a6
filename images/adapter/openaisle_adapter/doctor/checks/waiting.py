"""Why a container waits or ended, from its status."""

from __future__ import annotations

import re
from typing import Any

from ..finding import Finding
from ..view import Object, View, name

IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


def explain(view: View, pod: Object, where: str, container: dict[str, Any]) -> Finding | None:
    """What is wrong with a container; None for one that runs, has ended well, or waits for its turn."""
    waiting = container.get("state", {}).get("waiting") or {}
    ended = (
        container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    )
    reason = waiting.get("reason", "")
    if reason in IMAGE_REASONS:
        return _image(where, container, reason, str(waiting.get("message", "")))
    if reason in CONFIG_REASONS:
        return _config(view, where, reason, str(waiting.get("message", "")))
    if ended.get("reason") == "OOMKilled":
        return _out_of_memory(pod, where, container)
    if reason == "CrashLoopBackOff" or (ended.get("exitCode") and not container.get("ready")):
        return _crashed(view, pod, where, container, ended)
    return None


def _image(where: str, container: dict[str, Any], reason: str, message: str) -> Finding:
    return Finding(
        "pods",
        "fail",
        f"{where} gets no image {container['image']} ({reason}{_detail(message)})",
        "load the image into the nodes or push it to a registry that they reach, and write image.registry, "
        "image.tag and image.pullSecrets accordingly",
        "image-pull",
    )


def _detail(message: str) -> str:
    """The last part of what the container runtime said, which is the cause."""
    causes = [part.strip() for part in message.split(": ") if part.strip()]
    return f": {causes[-1][:160]}" if causes else ""


def _config(view: View, where: str, reason: str, message: str) -> Finding:
    secret = re.search(r'secret "([^"]+)" not found', message)
    key = re.search(r"couldn't find key (\S+) in Secret \S*?/?([^/\s]+)$", message)
    cure = f"correct what the message names; ({reason})"
    if secret:
        cure = f"kubectl -n {view.namespace} create secret generic {secret[1]} --from-literal=token=hf_..."
    elif key:
        cure = (
            f"kubectl -n {view.namespace} patch secret {key[2]} "
            f'-p \'{{"stringData": {{"{key[1]}": "hf_..."}}}}\''
        )
    return Finding("pods", "fail", f"{where} cannot be started: {message}", cure, "secrets")


def _out_of_memory(pod: Object, where: str, container: dict[str, Any]) -> Finding:
    limit = ""
    for spec in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
        if spec["name"] == container["name"]:
            limit = (spec.get("resources") or {}).get("limits", {}).get("memory", "")
    return Finding(
        "pods",
        "fail",
        f"{where} was killed at its memory limit{f' of {limit}' if limit else ''} (OOMKilled)",
        "leave the model's resources empty, and the chart computes what it takes; or raise "
        "resources.limits.memory",
        "oomkilled",
    )


def _crashed(
    view: View, pod: Object, where: str, container: dict[str, Any], ended: dict[str, Any]
) -> Finding:
    lines = [line.strip() for line in str(ended.get("message", "")).splitlines() if line.strip()]
    said = f"its last words: {lines[-1][:300]}" if lines else "it said nothing"
    return Finding(
        "pods",
        "fail",
        f"{where} ends again and again (container {container['name']}, exit code "
        f"{ended.get('exitCode', '?')}, {container.get('restartCount', 0)} restarts); {said}",
        f"kubectl -n {view.namespace} logs {name(pod)} -c {container['name']} --previous",
        "crashloop",
    )
