"""Conditions of an OPTModel (pure functions).

Accepted tells whether the model could be made as it is written, Ready whether all its replicas answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_MESSAGE_CHARACTERS = 2000
"""Of the 32768 that Kubernetes allows; the chart's list of families is the longest text."""


@dataclass(frozen=True)
class Condition:
    """One condition; its text is a sentence for people."""

    type: str
    status: bool
    reason: str
    message: str


def merge(
    old: Sequence[dict[str, Any]], new: Sequence[Condition], generation: int, now: str
) -> list[dict[str, Any]]:
    """The conditions as Kubernetes writes them. The time changes with the status only."""
    since = {entry["type"]: (entry["status"], entry["lastTransitionTime"]) for entry in old}
    merged = []
    for condition in new:
        status = str(condition.status)
        old_status, old_time = since.get(condition.type, ("", ""))
        merged.append(
            {
                "type": condition.type,
                "status": status,
                "reason": condition.reason,
                "message": condition.message[:MAX_MESSAGE_CHARACTERS],
                "observedGeneration": generation,
                "lastTransitionTime": old_time if old_status == status else now,
            }
        )
    return merged


def changed(old: Sequence[dict[str, Any]], new: Sequence[Condition]) -> list[Condition]:
    """The conditions that have another status or reason than before."""
    before = {(entry["type"], entry["status"], entry["reason"]) for entry in old}
    return [item for item in new if (item.type, str(item.status), item.reason) not in before]
