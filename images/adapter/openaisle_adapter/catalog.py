"""What is told about each model in /v1/models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from .backends import Backends
from .upstream import Upstream

FRESH_S = 10.0
"""How long a model server's own description is used before it is asked again."""


class Catalog:
    """The models' descriptions: those of their own servers, where one is ready to give it."""

    def __init__(self, backends: Backends, upstream: Upstream):
        self._backends = backends
        self._upstream = upstream
        self._started = int(time.time())
        self._described: dict[str, tuple[float, dict[str, Any]]] = {}

    async def describe_all(self, models: Sequence[str]) -> list[dict[str, Any]]:
        """The model objects of known models, whether they are ready or not."""
        return list(await asyncio.gather(*(self.describe(model) for model in models)))

    async def describe(self, model: str) -> dict[str, Any]:
        """The model object of one known model."""
        asked_at, description = self._described.get(model, (float("-inf"), None))
        if description is not None and time.monotonic() - asked_at < FRESH_S:
            return description
        for url in self._backends.ready_urls(model)[:1]:
            for offered in await self._upstream.models(url):
                if offered["id"] == model:
                    self._described[model] = (time.monotonic(), offered)
                    return offered
        return description or {
            "id": model,
            "object": "model",
            "created": self._started,
            "owned_by": "openaisle",
        }
