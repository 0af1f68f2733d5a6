"""Clients that write to the socket what they like, and many at once: the program and its memory stay well."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from adapter.conftest import KEY
from adapter.fake_engine import FakeEngine, fake_engine
from adapter.program import client_of, running
from aiohttp import web

BODY = b'{"model": "fake/model", "prompt": "Once"}'
STREAM = b'{"model": "fake/model", "prompt": "Once", "stream": true}'
MAX_BODY_BYTES = 1 << 20
MIB = 1 << 20


def _head(*headers: str, length: int | None = len(BODY), version: str = "1.1") -> bytes:
    lines = [f"POST /v1/completions HTTP/{version}", "Host: x", f"Authorization: Bearer {KEY}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


CHUNKED = "Transfer-Encoding: chunked"


class Wire:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Wire:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
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


async def _slow_bodies(port: int) -> None:
    async def one() -> None:
        async with Wire(port) as wire:
            await wire.send(_head())
            for place in range(0, len(BODY), 5):
                await wire.send(BODY[place : place + 5])
                await asyncio.sleep(0.01)
            assert await wire.status() == 200

    await asyncio.gather(*(one() for _ in range(30)))


async def _half_requests(port: int) -> None:
    halves = (
        b"P",
        _head()[:-2],
        _head() + BODY[:9],
        _head("Expect: 100-continue"),
        _head(CHUNKED, length=None) + b"5\r\nab",
        _head(CHUNKED, length=None) + b"ffffffff\r\n",
    )
    for half in halves * 15:
        async with Wire(port) as wire:
            await wire.send(half)


async def _oversized(port: int) -> None:
    for long in (b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 20_000, b"GET /" + b"a" * 20_000 + b" HTTP/1.1"):
        async with Wire(port) as wire:
            await wire.send(long + b"\r\n\r\n")
            assert await wire.status() == 431
    for _ in range(5):
        async with Wire(port) as wire:
            await wire.send(_head(length=8 * MIB), *([b"x" * MIB] * 8))
            assert await wire.status() == 413
        async with Wire(port) as wire:
            chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
            await wire.send(_head(CHUNKED, length=None), *([chunk] * 8), b"0\r\n\r\n")
            assert await wire.status() == 413
    async with Wire(port) as wire:
        await wire.send(_head("Expect: 100-continue", length=1 << 40))
        assert await wire.status() == 413


async def _pipelines(port: int) -> None:
    async with Wire(port) as wire:
        await wire.send((_head() + BODY) * 40)
        assert [await wire.status() for _ in range(40)] == [200] * 40


async def _chunks(port: int) -> None:
    async with Wire(port) as wire:
        chunks = [b"1;note=1\r\n%b\r\n" % BODY[i : i + 1] for i in range(len(BODY))]
        await wire.send(_head(CHUNKED, length=None), *chunks, b"0\r\n\r\n")
        assert await wire.status() == 200


async def _asks_first(port: int) -> None:
    async with Wire(port) as wire:
        await wire.send(_head("Expect: 100-continue"))
        assert await wire.status() == 100
        await wire.send(BODY)
        assert await wire.status() == 200


async def _old_clients(port: int) -> None:
    async with Wire(port) as wire:
        await wire.send(_head("Connection: keep-alive", version="1.0") + BODY)
        assert await wire.status() == 200
        await wire.send(_head("Expect: 100-continue", version="1.0") + BODY)
        assert await wire.status() == 200


async def _noise(port: int) -> None:
    chance = random.Random(1)
    for _ in range(60):
        async with Wire(port) as wire:
            request = bytearray(_head() + BODY)
            for _ in range(chance.randrange(1, 20)):
                request[chance.randrange(len(request))] = chance.randrange(256)
            await wire.send(bytes(request))
        async with Wire(port) as wire:
            await wire.send(chance.randbytes(chance.randrange(1, 5000)))


async def _many_connections(port: int) -> None:
    async def one() -> None:
        async with Wire(port) as wire:
            await asyncio.sleep(0.5)
            await wire.send(b"GET /health/live HTTP/1.1\r\n\r\n")
            assert await wire.status() == 200

    await asyncio.gather(*(one() for _ in range(300)))


async def _leavers(port: int) -> None:
    async def one() -> None:
        async with Wire(port) as wire:
            await wire.send(_head(length=len(STREAM)) + STREAM)
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


async def _talk(request: web.Request) -> web.StreamResponse:
    """A plain answer, or a stream of forty events that name the prompt."""
    fields = await request.json()
    if not fields.get("stream"):
        return web.json_response({"choices": []})
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for number in range(40):
        await response.write(_event(fields["prompt"], number))
        await asyncio.sleep(0.02)
    await response.write(b"data: [DONE]\n\n")
    return response


def _event(prompt: str, number: int) -> bytes:
    return f'data: {{"text": "{prompt} {number}"}}\n\n'.encode()


class Running:
    """A gateway in a process of its own, in front of an engine in this one."""

    def __init__(self, engine: FakeEngine, client: httpx.AsyncClient, pid: int):
        self.engine, self.client, self.pid = engine, client, pid
        self.port = client.base_url.port or 0

    def resident_bytes(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    async def is_idle(self) -> bool:
        page = (await self.client.get("/metrics")).text
        outstanding = f'backend_outstanding_requests{{backend="{self.engine.url}"}} 0.0'
        return "openaisle_adapter_requests_in_flight 0.0" in page and outstanding in page


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    options = ["--host=127.0.0.1", "--port=0", f"--api-key={KEY}", f"--max-body-bytes={MAX_BODY_BYTES}"]
    async with (
        fake_engine(handler=_talk) as engine,
        running(*options, f"--backend=fake/model={engine.url}") as program,
        client_of(program, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as client,
    ):
        reading = asyncio.create_task(program.read_on())
        yield Running(engine, client, program.process.pid)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert "traceback" not in " ".join(str(line) for line in program.log).lower()


async def test_the_program_stays_up_and_its_memory_comes_back(gateway, eventually):
    # What a first time fills is kept: caches, and what the allocator has got from the system.
    for trouble in TROUBLES:
        await trouble(gateway.port)
    before = gateway.resident_bytes()
    for _ in range(2):
        for trouble in TROUBLES:
            await trouble(gateway.port)
            answer = await gateway.client.post("/v1/completions", content=BODY)
            assert answer.status_code == 200, trouble.__name__
    await eventually(gateway.is_idle)
    assert gateway.resident_bytes() < before + 16 * MIB


async def test_two_hundred_streams_at_once_are_whole_and_apart(gateway, eventually):
    async def one(number: int) -> None:
        prompt = f"prompt {number}"
        body = {"model": "fake/model", "prompt": prompt, "stream": True}
        async with gateway.client.stream("POST", "/v1/completions", json=body) as response:
            received = await response.aread()
        assert response.status_code == 200
        assert received == b"".join(_event(prompt, i) for i in range(40)) + b"data: [DONE]\n\n"

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=gateway.client.base_url,
        headers=gateway.client.headers,
        limits=limits,
        trust_env=False,
        timeout=60,
    ) as client:
        gateway.client = client
        await asyncio.gather(*(one(number) for number in range(200)))
        await eventually(gateway.is_idle)
