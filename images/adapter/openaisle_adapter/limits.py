"""What a key may still do: requests and tokens a minute, requests at a time, and models.

A key's minute begins with its first request. Requests and tokens are counted in the storage of the
package `limits`, requests at a time in this process.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from .errors import ApiError, ModelForbidden, RateLimited, StartError
from .limits_file import KeyLimits, LimitsFile, LimitsTable
from .usage import NO_TOKENS, Usage

REQUESTS, TOKENS, CONCURRENT = "requests", "tokens", "concurrent requests"

logger = logging.getLogger(__name__)


class Limits:
    """The limits of all keys, and what has been used of them."""

    def __init__(self, file: LimitsFile | None):
        self._file = file
        self._table = file.read() if file else LimitsTable()
        self._storage = MemoryStorage()
        self._windows = FixedWindowRateLimiter(self._storage)
        self._running: Counter[str] = Counter()

    def reload(self) -> None:
        """Read the file again if it has changed; if it can't be used, the old limits stay."""
        if self._file is None or not self._file.changed():
            return
        try:
            self._table = self._file.read()
        except StartError as error:
            logger.error("The limits were not read again, the old ones stay: %s", error)
        else:
            logger.info("The limits were read again.")

    def allowed(self, key: str, models: Sequence[str]) -> list[str]:
        """Those of the models that the key may use."""
        own = self._table.of(key).models
        return [model for model in models if not own or model in own]

    def require(self, key: str, model: str) -> None:
        """Make sure that the key may use the model.

        Raises:
            ModelForbidden: it may not.
        """
        if not self.allowed(key, [model]):
            raise ModelForbidden(key, model)

    @asynccontextmanager
    async def admit(self, key: str, tokens: int) -> AsyncIterator[Admission]:
        """Charge a request, and the tokens that it may cost, and count it as running in the block.

        The block says what it has really cost; if it ends in an error of ours, that is nothing.

        Raises:
            RateLimited: the key has used up its limits; the request is not charged.
        """
        limits = self._table.of(key)
        if limits.concurrent_requests and self._running[key] >= limits.concurrent_requests:
            raise _too_many_at_a_time(key, limits)
        self._running[key] += 1
        try:
            admission = await self._charge(key, limits, tokens)
            try:
                yield admission
            except ApiError:
                admission.usage = NO_TOKENS
                raise
            finally:
                await admission.settle()
        finally:
            self._running[key] -= 1
            if not self._running[key]:
                del self._running[key]

    async def headers(self, key: str) -> dict[str, str]:
        """The state of the key's limits for its owner, as OpenAI's headers have it; empty without limits."""
        headers: dict[str, str] = {}
        for kind, item in _items(self._table.of(key)).items():
            window = await self._windows.get_window_stats(item, kind, key)
            reset_s = max(0.0, window.reset_time - time.time())
            headers[f"x-ratelimit-limit-{kind}"] = str(item.amount)
            headers[f"x-ratelimit-remaining-{kind}"] = str(window.remaining)
            headers[f"x-ratelimit-reset-{kind}"] = f"{reset_s:.3f}s"
        return headers

    async def _charge(self, key: str, limits: KeyLimits, tokens: int) -> Admission:
        costs = {REQUESTS: 1, TOKENS: tokens}
        charges: list[_Charge] = []
        for kind, item in _items(limits).items():
            if not await self._windows.hit(item, kind, key, cost=costs[kind]):
                for charge in [*charges, _Charge(item, kind, costs[kind])]:
                    await self._storage.decr(charge.item.key_for(charge.kind, key), charge.cost)
                raise await self._refusal(key, kind, item, costs[kind])
            expiry = await self._storage.get_expiry(item.key_for(kind, key))
            charges.append(_Charge(item, kind, costs[kind], expiry))
        return Admission(self._storage, key, next((c for c in charges if c.kind == TOKENS), None))

    async def _refusal(self, key: str, kind: str, item: RateLimitItem, cost: int) -> RateLimited:
        if cost > item.amount:
            return RateLimited(
                f"The request is too large for the key `{key}`: its limit is {item.amount} tokens a minute, "
                f"and this may cost {cost}. Shorten the prompt or lower max_tokens.",
                kind,
                headers={"x-should-retry": "false"},
            )
        window = await self._windows.get_window_stats(item, kind, key)
        wait_s = max(1, math.ceil(window.reset_time - time.time()))
        return RateLimited(
            f"Rate limit reached for the key `{key}` on {kind} per minute: limit {item.amount}, used "
            f"{item.amount - window.remaining}, requested {cost}. Please try again in {wait_s}s.",
            kind,
            headers={"retry-after": str(wait_s)},
        )


@dataclass(frozen=True)
class _Charge:
    item: RateLimitItem
    kind: str
    cost: int
    window_end: float = 0.0


class Admission:
    """A request that was let in."""

    def __init__(self, storage: MemoryStorage, key: str, charge: _Charge | None):
        self._storage = storage
        self._key = key
        self._charge = charge
        self.usage: Usage | None = None
        """What the request has really cost. None: that is not known, and what it was charged stays."""

    async def settle(self) -> None:
        """Put what the request has cost in the place of what it was charged.

        A request belongs to the minute in which it began: once that is over nothing is changed.
        """
        if self._charge is None or self.usage is None:
            return
        name = self._charge.item.key_for(self._charge.kind, self._key)
        if await self._storage.get_expiry(name) != self._charge.window_end:
            return
        difference = self.usage.total - self._charge.cost
        if difference > 0:
            await self._storage.incr(name, self._charge.item.get_expiry(), difference)
        elif difference < 0:
            await self._storage.decr(name, -difference)


def _items(limits: KeyLimits) -> dict[str, RateLimitItem]:
    """What is counted for a key with these limits."""
    amounts = {REQUESTS: limits.requests_per_minute, TOKENS: limits.tokens_per_minute}
    return {kind: RateLimitItemPerMinute(amount) for kind, amount in amounts.items() if amount}


def _too_many_at_a_time(key: str, limits: KeyLimits) -> RateLimited:
    return RateLimited(
        f"Rate limit reached for the key `{key}` on {CONCURRENT}: limit {limits.concurrent_requests}. "
        "Please try again when one of them is done.",
        CONCURRENT,
        headers={"retry-after": "1"},
    )
