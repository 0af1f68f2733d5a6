"""How far the replicas are of a model that isn't ready: they are asked, and say it themselves."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from .backends import Backends
from .upstream import Upstream

FRESH_S = 1.0
"""How long an answer is used: a thousand requests may wait for the same model."""
MOST_ASKED = 4
"""Replicas that are asked at once."""
_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class Startup:
    """What a model waits for."""

    words: str = ""
    """As `loading the weights, 42%`; empty if no replica says anything."""
    is_download: bool = False
    """Whether the weights are still on their way to every replica, which may take hours."""


class Startups:
    """Asks for the health of replicas that can't be given requests."""

    def __init__(self, backends: Backends, upstream: Upstream):
        self._backends = backends
        self._upstream = upstream
        self._known: dict[str, tuple[float, Startup]] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, model: str) -> Startup:
        """How far the farthest replica of a known model is."""
        async with self._asking[model]:
            asked_at, startup = self._known.get(model, (float("-inf"), Startup()))
            if time.monotonic() - asked_at < FRESH_S:
                return startup
            urls = self._backends.unready_urls(model)[:MOST_ASKED]
            answers = [_read(health) for health in await asyncio.gather(*map(self._upstream.health, urls))]
            told = [startup for startup in answers if startup.words]
            startup = min(told, key=lambda startup: startup.is_download, default=Startup())
            self._known[model] = (time.monotonic(), startup)
            return startup


def _read(health: dict[str, Any]) -> Startup:
    """From what a model server says at /health/ready while it is on its way."""
    phase, fraction = health.get("phase"), health.get("fraction")
    if not isinstance(phase, str):
        return Startup()
    percent = f", {fraction:.0%}" if isinstance(fraction, (int, float)) else ""
    return Startup(phase[:_MOST_CHARACTERS] + percent, health.get("status") == "downloading")
