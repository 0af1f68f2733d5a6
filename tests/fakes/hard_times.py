"""Clients that write to the socket what they like; model server and gateway both have to bear them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

MIB = 1 << 20
MAX_BODY_BYTES = MIB
"""The limit that a target has to be given."""
CHUNKED = "Transfer-Encoding: chunked"


@dataclass(frozen=True)
class Target:
    """A program that completes prompts with a model."""

    url: str
    pid: int
    model: str
    headers: tuple[str, ...] = ()
    """Whole header lines, such as that with the key."""

    @property
    def body(self) -> bytes:
        """A request for one token."""
        return json.dumps({"model": self.model, "prompt": "Once", "max_tokens": 1}).encode()

    @property
    def stream(self) -> bytes:
        """A request for a long stream."""
        fields = {"prompt": "Once", "max_tokens": 500, "stream": True, "logit_bias": {"2": -100}}
        return json.dumps({"model": self.model, **fields}).encode()

    def head(self, *headers: str, length: int | None = -1, version: str = "1.1") -> bytes:
        """The head of a request with `body`, or with a body of another length, or of an unknown one."""
        lines = [f"POST /v1/completions HTTP/{version}", "Host: x", *self.headers, *headers]
        if length is not None:
            lines.append(f"Content-Length: {len(self.body) if length < 0 else length}")
        return "\r\n".join([*lines, "", ""]).encode()

    def resident_bytes(self) -> int:
        """Memory of the process that listens."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024


async def endure(target: Target, client: httpx.AsyncClient, is_idle: Callable[[], Awaitable[bool]]) -> None:
    """Bring every trouble over the target, and see that it serves on and its memory comes back."""
    # What a first time fills is kept: caches, and what the allocator has got from the system.
    for trouble in TROUBLES:
        await trouble(target)
    before = target.resident_bytes()
    for _ in range(2):
        for trouble in TROUBLES:
            await trouble(target)
            answer = await client.post("/v1/completions", content=target.body)
            assert answer.status_code == 200, trouble.__name__
    for _ in range(100):
        if await is_idle():
            break
        # The server may learn of clients that left with its next step only.
        await client.post("/v1/completions", content=target.body)
    assert await is_idle()
    assert target.resident_bytes() < before + 16 * MIB
    assert (await client.get("/health/live")).status_code == 200


class Wire:
    """One connection."""

    def __init__(self, target: Target) -> None:
        self._url = httpx.URL(target.url)

    async def __aenter__(self) -> Wire:
        self.reader, self.writer = await asyncio.open_connection(self._url.host, self._url.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def send(self, *parts: bytes) -> None:
        """The server may hang up on what it cannot read."""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()

    async def status(self) -> int:
        """Of the next answer, which is read to its end."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)).decode()
        _, name, length = head.lower().partition("content-length: ")
        if name:
            await self.reader.readexactly(int(length.split()[0]))
        return int(head.split()[1])


async def _slow_bodies(target: Target) -> None:
    async def one() -> None:
        async with Wire(target) as wire:
            await wire.send(target.head())
            for place in range(0, len(target.body), 5):
                await wire.send(target.body[place : place + 5])
                await asyncio.sleep(0.01)
            assert await wire.status() == 200

    await asyncio.gather(*(one() for _ in range(30)))


async def _half_requests(target: Target) -> None:
    halves = (
        b"P",
        target.head()[:-2],
        target.head() + target.body[:9],
        target.head("Expect: 100-continue"),
        target.head(CHUNKED, length=None) + b"5\r\nab",
        target.head(CHUNKED, length=None) + b"ffffffff\r\n",
    )
    for half in halves * 15:
        async with Wire(target) as wire:
            await wire.send(half)


async def _oversized(target: Target) -> None:
    for long in (b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 20_000, b"GET /" + b"a" * 20_000 + b" HTTP/1.1"):
        async with Wire(target) as wire:
            await wire.send(long + b"\r\n\r\n")
            assert await wire.status() == 431
    for _ in range(5):
        async with Wire(target) as wire:
            await wire.send(target.head(length=8 * MIB), *([b"x" * MIB] * 8))
            assert await wire.status() == 413
        async with Wire(target) as wire:
            chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
            await wire.send(target.head(CHUNKED, length=None), *([chunk] * 8), b"0\r\n\r\n")
            assert await wire.status() == 413
    async with Wire(target) as wire:
        await wire.send(target.head("Expect: 100-continue", length=1 << 40))
        assert await wire.status() == 413


async def _pipelines(target: Target) -> None:
    async with Wire(target) as wire:
        await wire.send((target.head() + target.body) * 40)
        assert [await wire.status() for _ in range(40)] == [200] * 40


async def _chunks(target: Target) -> None:
    async with Wire(target) as wire:
        chunks = [b"1;note=1\r\n%b\r\n" % target.body[i : i + 1] for i in range(len(target.body))]
        await wire.send(target.head(CHUNKED, length=None), *chunks, b"0\r\n\r\n")
        assert await wire.status() == 200


async def _asks_first(target: Target) -> None:
    async with Wire(target) as wire:
        await wire.send(target.head("Expect: 100-continue"))
        assert await wire.status() == 100
        await wire.send(target.body)
        assert await wire.status() == 200


async def _old_clients(target: Target) -> None:
    async with Wire(target) as wire:
        await wire.send(target.head("Connection: keep-alive", version="1.0") + target.body)
        assert await wire.status() == 200
        await wire.send(target.head("Expect: 100-continue", version="1.0") + target.body)
        assert await wire.status() == 200


async def _noise(target: Target) -> None:
    chance = random.Random(1)
    for _ in range(60):
        async with Wire(target) as wire:
            request = bytearray(target.head() + target.body)
            for _ in range(chance.randrange(1, 20)):
                request[chance.randrange(len(request))] = chance.randrange(256)
            await wire.send(bytes(request))
        async with Wire(target) as wire:
            await wire.send(chance.randbytes(chance.randrange(1, 5000)))


async def _many_connections(target: Target) -> None:
    async def one() -> None:
        async with Wire(target) as wire:
            await asyncio.sleep(0.5)
            await wire.send(b"GET /health/live HTTP/1.1\r\n\r\n")
            assert await wire.status() == 200

    await asyncio.gather(*(one() for _ in range(300)))


async def _leavers(target: Target) -> None:
    async def one() -> None:
        async with Wire(target) as wire:
            await wire.send(target.head(length=len(target.stream)) + target.stream)
            await asyncio.wait_for(wire.reader.readuntil(b"data: "), 60)

    await asyncio.gather(*(one() for _ in range(20)))


TROUBLES = [
    _slow_bodies,
    _half_requests,
    _oversized,
    _pipelines,
    _chunks,
    _asks_first,
    _old_clients,
    _noise,
    _many_connections,
    _leavers,
]
