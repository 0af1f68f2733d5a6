"""Which replica gets a request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A replica that could take a request."""

    url: str
    outstanding: int
    """Requests that it is working on now."""


def choose(candidates: Sequence[Candidate], affinity: str) -> str | None:
    """The replica with the least outstanding work; None if there is none.

    Among equals, requests with the same affinity (the beginning of the prompt) go to the same
    replica, where the keys and values of that beginning are probably cached. A replica that comes
    or goes moves only the prompts that it wins or loses.
    """
    if not candidates:
        return None
    least = min(candidate.outstanding for candidate in candidates)
    return max(
        (candidate.url for candidate in candidates if candidate.outstanding == least),
        key=lambda url: hashlib.blake2b(f"{url}\0{affinity}".encode("utf-8", "replace")).digest(),
    )
