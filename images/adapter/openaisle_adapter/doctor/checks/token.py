"""Tokens for the Hub: a pod that has started has got its own, so no Secret needs to be read here."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from ..models import Model, models_of
from ..view import MODEL_NAME, View, labels


def check_token(view: View) -> Iterator[Finding]:
    """A line for each model with a token whose pods have started; a missing one stands at its pod.

    Raises:
        Unseen: the account may not list pods or workloads.
    """
    for model in models_of(view):
        source = (model.env.get("HF_TOKEN", {}).get("valueFrom") or {}).get("secretKeyRef")
        if source and _has_started(view, model):
            text = f"model {model.name}: its pods have got {source['key']} of the Secret {source['name']}"
            yield Finding("token", "ok", text)


def _has_started(view: View, model: Model) -> bool:
    return any(
        "running" in container.get("state", {}) or container.get("restartCount")
        for pod in view.of_release("pods", "opt")
        if labels(pod).get(MODEL_NAME) == model.name
        for kind in ("initContainerStatuses", "containerStatuses")
        for container in (pod.get("status") or {}).get(kind, [])
    )
