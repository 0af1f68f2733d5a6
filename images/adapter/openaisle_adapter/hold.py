"""Requests that wait for a replica of their model, while one starts or comes back."""

from __future__ import annotations

import time

from .backends import Backends

MOST_WAITING = 1000
"""More than these are refused at once: each holds its body in memory."""


class Hold:
    """Lets requests wait, for `wait_s` in all and each, and counts those that do."""

    def __init__(self, backends: Backends, wait_s: float):
        self._backends = backends
        self._wait_s = wait_s
        self.waiting = 0

    def deadline(self) -> float:
        """When a request that has come now has waited long enough, on the monotonic clock."""
        return time.monotonic() + self._wait_s

    def is_open(self, model: str | None, deadline: float) -> bool:
        """Whether a request may wait at all."""
        return model is not None and self.waiting < MOST_WAITING and time.monotonic() < deadline

    async def until_ready(self, model: str, deadline: float) -> bool:
        """Wait for a replica that can be given a request for the model; False if there is none in time.

        Raises:
            ModelNotFound: the model is no longer served.
        """
        if self.waiting >= MOST_WAITING:
            return False
        self.waiting += 1
        try:
            while not self._backends.ready_urls(model):
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                await self._backends.change(left_s)
                self._backends.require(model)
            return True
        finally:
            self.waiting -= 1
