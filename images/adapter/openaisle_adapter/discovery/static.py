"""Model servers that were named on the command line."""

from __future__ import annotations

import asyncio
import logging

from ..backends import Backend, Backends, Snapshot
from ..settings import StaticBackend
from ..upstream import Upstream

SOURCE = "command line"
SEARCH_INTERVAL_S = 0.5
"""Between two questions to a server whose models are not known yet."""
REFRESH_INTERVAL_S = 10.0
"""Between two questions to a server whose models are known: it may come back with another model."""

logger = logging.getLogger(__name__)


class StaticDiscovery:
    """Learns which models the named servers serve, now and whenever one comes back."""

    def __init__(self, static: tuple[StaticBackend, ...], backends: Backends, upstream: Upstream):
        self._static = static
        self._backends = backends
        self._upstream = upstream
        self._models: dict[StaticBackend, tuple[str, ...]] = {
            backend: (backend.model,) for backend in static if backend.model is not None
        }
        backends.expect(SOURCE)
        if self._models:
            self._publish()

    async def run(self) -> None:
        """Keep asking. Runs until it is cancelled."""
        await asyncio.gather(*(self._follow(backend) for backend in self._static if backend.model is None))

    async def _follow(self, backend: StaticBackend) -> None:
        while True:
            models = tuple(model["id"] for model in await self._upstream.models(backend.url))
            if models and models != self._models.get(backend):
                logger.info("%s serves %s.", backend.url, ", ".join(models))
                self._models[backend] = models
            if models:
                self._publish()
            await asyncio.sleep(REFRESH_INTERVAL_S if backend in self._models else SEARCH_INTERVAL_S)

    def _publish(self) -> None:
        known = [(backend.url, model) for backend in self._static for model in self._models.get(backend, ())]
        self._backends.replace(
            SOURCE,
            Snapshot(
                backends=tuple(Backend(url, model) for url, model in known),
                models=tuple(dict.fromkeys(model for _, model in known)),
                complete=len(self._models) == len(self._static),
            ),
        )
