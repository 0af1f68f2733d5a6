"""What a check has to say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail", "skipped"]
Anchor = Literal[
    "",
    "401",
    "404",
    "429",
    "502",
    "crashloop",
    "dns",
    "drivers",
    "evicted",
    "hub",
    "image-pull",
    "no-address",
    "not-created",
    "not-ready",
    "oomkilled",
    "optmodels",
    "pending",
    "preload",
    "secrets",
    "slow",
    "volumes",
]


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    check: str
    """The subject, one word: `nodes`, `keys`, ..."""
    status: Status
    text: str
    """What was seen, without a full stop."""
    cure: str = ""
    """What to do about it: a sentence or a command; empty when all is well."""
    see: Anchor = ""
    """An anchor of docs/troubleshooting.md; empty: none."""


def counts(findings: Iterable[Finding]) -> dict[Status, int]:
    """How many findings have each status; every status is there."""
    result: dict[Status, int] = {"ok": 0, "warn": 0, "fail": 0, "skipped": 0}
    for finding in findings:
        result[finding.status] += 1
    return result
