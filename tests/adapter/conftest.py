"""What the adapter's tests share: an adapter in this process, and a client with the key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from openaisle_adapter.server import serving
from openaisle_adapter.settings import Settings, StaticBackend
from sanic import Sanic

Sanic.test_mode = True  # one process may then have several apps, one after the other

KEY = "sk-test-0123456789"

Adapter = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def adapter() -> Adapter:
    """A factory: `async with adapter("http://127.0.0.1:1234") as client`.

    A backend given as a string serves `fake/model`; other settings go by keyword.
    """

    @asynccontextmanager
    async def run(*backends: str | StaticBackend, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        named = tuple(
            backend if isinstance(backend, StaticBackend) else StaticBackend(backend, "fake/model")
            for backend in backends
        )
        given = {"host": "127.0.0.1", "port": 0, "api_key": KEY, "backends": named, **settings}
        async with (
            serving(Settings(**given)) as server,
            httpx.AsyncClient(
                base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, trust_env=False
            ) as client,
        ):
            yield client

    return run


@pytest.fixture(autouse=True)
async def _nothing_is_left_running() -> AsyncIterator[None]:
    yield
    await asyncio.sleep(0.01)  # generators that were dropped in mid-way are closed in tasks of their own
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"


@pytest.fixture
def eventually() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Asks again until the answer is yes, for ten seconds at most."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if await condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it did not happen within ten seconds")

    return wait
