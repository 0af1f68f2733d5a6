"""A task for each model, which is woken when something changes and otherwise looks now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from .errors import OperatorError

RESYNC_S = 60.0
"""After so long everything is looked at again: what changes without an event, and events that were missed."""
SETTLE_S = 0.2
"""Changes come in groups, as when a pod starts; one round answers to all of them."""
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)

logger = logging.getLogger(__name__)


class Loops:
    """Calls `reconcile(name)` until it returns False, which means that the model is gone."""

    def __init__(
        self,
        reconcile: Callable[[str], Awaitable[bool]],
        *,
        resync_s: float = RESYNC_S,
        settle_s: float = SETTLE_S,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ):
        self._reconcile = reconcile
        self._resync_s = resync_s
        self._settle_s = settle_s
        self._backoff_s = backoff_s
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """How many models there are."""
        return len(self._tasks)

    def wake(self, name: str) -> None:
        """Something about the model has changed."""
        if name not in self._wakes:
            self._wakes[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(
                self._follow(name, self._wakes[name]), name=f"model {name}"
            )
        self._wakes[name].set()

    def wake_all(self) -> None:
        """Something has changed that models share, such as who has which name."""
        for wake in self._wakes.values():
            wake.set()

    async def stop(self) -> None:
        """End all tasks. What is half done is done again by the next operator."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, name: str, wake: asyncio.Event) -> None:
        failures = 0
        delay_s = self._resync_s
        while True:
            try:
                await asyncio.wait_for(wake.wait(), delay_s)
                await asyncio.sleep(self._settle_s)
            except asyncio.TimeoutError:
                pass
            wake.clear()
            try:
                there = await self._reconcile(name)
            except Exception as error:
                delay_s = self._backoff_s[min(failures, len(self._backoff_s) - 1)]
                failures += 1
                expected = isinstance(error, OperatorError)
                logger.error("%s: %s Trying again in %g s.", name, error, delay_s, exc_info=not expected)
                continue
            failures = 0
            delay_s = self._resync_s
            if not there and not wake.is_set():
                del self._wakes[name], self._tasks[name]
                return
