"""Which replica gets a request."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

LOAD_FACTOR = 1.25
"""How much more than its share of the outstanding requests a replica may have for its cache's sake."""


@dataclass(frozen=True)
class Candidate:
    """A replica that could take a request."""

    url: str
    outstanding: int
    """Requests that it is working on now."""


def choose(candidates: Sequence[Candidate], affinity: str) -> str | None:
    """The replica that a request goes to; None if there is none.

    Requests with the same affinity (the beginning of the prompt) rank the replicas alike, and go to
    the first of them that has room, where the keys and values of that beginning are probably cached.
    A replica has room while it has less than `LOAD_FACTOR` times the mean of outstanding requests:
    consistent hashing with bounded loads. A replica that comes or goes moves only the prompts that
    it wins or loses. A request without affinity goes to the replica with the least to do.
    """
    if not candidates:
        return None
    ranked = sorted(candidates, key=lambda candidate: _rank(candidate.url, affinity), reverse=True)
    if not affinity:
        return min(ranked, key=lambda candidate: candidate.outstanding).url
    num_requests = sum(candidate.outstanding for candidate in candidates) + 1
    bound = math.ceil(LOAD_FACTOR * num_requests / len(candidates))
    # One of them is below the mean, so there is always room.
    return next(candidate.url for candidate in ranked if candidate.outstanding < bound)


def _rank(url: str, affinity: str) -> bytes:
    return hashlib.blake2b(f"{url}\0{affinity}".encode("utf-8", "replace")).digest()
