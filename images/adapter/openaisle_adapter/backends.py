"""The model servers that are known now, and how each of them fares."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .errors import ModelNotFound, Unavailable
from .routing import Candidate, choose

PROBE_INTERVAL_S = 0.5
"""Between two looks at a replica that has failed."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backend:
    """One replica of one model."""

    url: str
    """Without a slash at the end."""
    model: str
    ready: bool = True


@dataclass(frozen=True)
class Snapshot:
    """All that one source knows at one moment. It is replaced, never changed."""

    backends: tuple[Backend, ...] = ()
    models: tuple[str, ...] = ()
    """Every model that is meant to be served, with a replica or without."""
    complete: bool = False
    """False while there may be models that the source has not heard of yet."""


class Backends:
    """The snapshots of all sources, and the state that requests leave on the replicas.

    A replica that fails is set aside, and probed until it answers again. Everything here runs in
    the event loop, so no change can be seen half done.
    """

    def __init__(self, is_healthy: Callable[[str], Awaitable[bool]]):
        self._is_healthy = is_healthy
        self._snapshots: dict[str, Snapshot] = {}
        self._heard_at: dict[str, float] = {}
        self._outstanding: Counter[str] = Counter()
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    def expect(self, source: str) -> None:
        """Announce a source, before it has said anything."""
        self._snapshots[source] = Snapshot()

    def replace(self, source: str, snapshot: Snapshot) -> None:
        """Take over what a source knows now, in place of what it knew before."""
        self._snapshots[source] = snapshot
        self.heard(source)
        urls = {backend.url for backend in self._all()}
        for url in [url for url in self._probes if url not in urls]:
            self._probes.pop(url).cancel()
        self._announce_change()

    async def change(self, limit_s: float) -> None:
        """Wait until there may be a replica that was not ready before, or for the limit."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), limit_s)

    def heard(self, source: str) -> None:
        """Note that a source has given a sign of life, with or without news."""
        self._heard_at[source] = time.monotonic()

    @property
    def complete(self) -> bool:
        """Whether every source has said all it knows at least once."""
        return all(snapshot.complete for snapshot in self._snapshots.values())

    def silence_s(self) -> dict[str, float | None]:
        """Seconds since each source was last heard; None if it never was."""
        now = time.monotonic()
        return {
            source: now - self._heard_at[source] if source in self._heard_at else None
            for source in self._snapshots
        }

    def models(self) -> list[str]:
        """Every known model, in the order of the sources."""
        return list(
            dict.fromkeys(model for snapshot in self._snapshots.values() for model in snapshot.models)
        )

    def require(self, model: str) -> None:
        """Make sure that the model is one of ours, ready or not.

        Raises:
            ModelNotFound, Unavailable: it isn't, or that is not known yet.
        """
        if model in self.models():
            return
        if not self.complete:
            raise Unavailable("The server is starting and still looks for its models. Please try again.")
        raise ModelNotFound(model)

    def urls(self) -> list[str]:
        """Every known replica, ready or not."""
        return list(dict.fromkeys(backend.url for backend in self._all()))

    def ready_urls(self, model: str | None = None) -> list[str]:
        """The replicas that may be given a request for the model, or for any model."""
        return list(
            dict.fromkeys(
                backend.url
                for backend in self._all()
                if backend.ready and backend.url not in self._probes and model in (None, backend.model)
            )
        )

    def unready_urls(self, model: str) -> list[str]:
        """The replicas of the model that may be given none."""
        ready = self.ready_urls(model)
        urls = dict.fromkeys(backend.url for backend in self._all() if backend.model == model)
        return [url for url in urls if url not in ready]

    def choose(self, model: str | None, affinity: str, exclude: set[str]) -> str | None:
        """The best replica for a request, or None if no replica can take it."""
        candidates = [
            Candidate(url, self._outstanding[url]) for url in self.ready_urls(model) if url not in exclude
        ]
        return choose(candidates, affinity)

    @contextmanager
    def charge(self, url: str) -> Iterator[None]:
        """Count a request as outstanding at a replica while the block runs."""
        self._outstanding[url] += 1
        try:
            yield
        finally:
            self._outstanding[url] -= 1
            if not self._outstanding[url]:
                del self._outstanding[url]

    def outstanding(self, url: str) -> int:
        """Requests that the replica is working on for us."""
        return self._outstanding[url]

    def set_aside(self, url: str, reason: str) -> None:
        """Give the replica no requests until a probe finds it healthy."""
        if url not in self._probes:
            logger.warning("%s is set aside until it is healthy again: %s", url, reason)
            self._probes[url] = asyncio.create_task(self._probe(url), name=f"probe {url}")

    async def __aenter__(self) -> Backends:
        """Begin; the probes run in the event loop of this block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all probes."""
        probes = list(self._probes.values())
        self._probes.clear()
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    async def _probe(self, url: str) -> None:
        healthy = False
        while not healthy:
            await asyncio.sleep(PROBE_INTERVAL_S)
            healthy = await self._is_healthy(url)
        del self._probes[url]
        logger.info("%s is healthy again.", url)
        self._announce_change()

    def _announce_change(self) -> None:
        # Whoever waits holds the old event; the next change needs a new one.
        self._changed.set()
        self._changed = asyncio.Event()

    def _all(self) -> Iterator[Backend]:
        for snapshot in self._snapshots.values():
            yield from snapshot.backends
