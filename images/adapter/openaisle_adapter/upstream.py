"""The HTTP client towards the model servers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from yarl import URL

CONNECT_TIMEOUT_S = 3.0
QUESTION_TIMEOUT_S = 2.0
KEEPALIVE_S = 4.0
"""Shorter than the idle timeout of every common server (uvicorn's is 5 s), so that no request is
sent into a connection that is just being closed."""


class Upstream:
    """A pool of connections, and the few questions that are asked apart from users' requests."""

    def __init__(self, timeout_s: float):
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Upstream:
        """Make the pool; within the event loop that will use it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # bodies pass through as they are
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            # `connect` includes the look-up of the name.
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=self._timeout_s),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._session.close()

    async def send(
        self, url: str, method: str, raw_path: str, headers: list[tuple[str, str]], body: bytes
    ) -> aiohttp.ClientResponse:
        """Send one request and wait for the head of its answer. The caller closes the response.

        Raises:
            aiohttp.ClientError, asyncio.TimeoutError, OSError: as aiohttp has them.
        """
        return await self._session.request(
            method,
            URL(url + raw_path, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        )

    async def models(self, url: str) -> list[dict[str, Any]]:
        """The model objects of a server's own /v1/models; none if it does not answer as it should."""
        status, body = await self._ask(f"{url}/v1/models")
        try:
            data = json.loads(body)["data"] if status == 200 else []
            return [model for model in data if isinstance(model["id"], str)]
        except (ValueError, KeyError, TypeError):
            return []

    async def is_healthy(self, url: str) -> bool:
        """Whether a server takes requests.

        A server without our health route that answers at all is taken for healthy.
        """
        status, _ = await self._ask(f"{url}/health/ready")
        return status is not None and status < 500

    async def health(self, url: str) -> dict[str, Any]:
        """What a server says of itself at our health route, ready or not; empty if it says nothing."""
        _, body = await self._ask(f"{url}/health/ready")
        try:
            health = json.loads(body)
        except ValueError:
            return {}
        return health if isinstance(health, dict) else {}

    async def _ask(self, url: str) -> tuple[int | None, bytes]:
        """Status and body of a GET; None and nothing if there was no answer."""
        timeout = aiohttp.ClientTimeout(total=QUESTION_TIMEOUT_S)
        try:
            async with self._session.get(URL(url, encoded=True), timeout=timeout) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
            return None, b""
