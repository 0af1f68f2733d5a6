"""Clients that write to the socket what they like: the program stays up, and its memory comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from openaisle_opt.settings import BUNDLED_MODEL_NAME as MODEL
from opt.server.serving import Running, serving

BODY = json.dumps({"model": MODEL, "prompt": "Once", "max_tokens": 1}).encode()
STREAM = json.dumps(
    {"model": MODEL, "prompt": "Once", "max_tokens": 500, "stream": True, "logit_bias": {"2": -100}}
).encode()
MAX_BODY_BYTES = 1 << 20
MIB = 1 << 20


@pytest.fixture(scope="module")
def program() -> Iterator[Running]:
    with serving("--dtype", "float32", "--max-body-bytes", str(MAX_BODY_BYTES)) as program:
        yield program


def _head(*headers: str, length: int | None = len(BODY)) -> bytes:
    lines = ["POST /v1/completions HTTP/1.1", "Host: x", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


class Wire:
    """One connection."""

    def __init__(self, program: Running) -> None:
        self._url = httpx.URL(program.url)

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
        status, _, length = head.split()[1], *head.lower().partition("content-length: ")[1:]
        if length:
            await self.reader.readexactly(int(length.split()[0]))
        return int(status)


async def _slow_bodies(program: Running) -> None:
    async def one() -> None:
        async with Wire(program) as wire:
            await wire.send(_head())
            for place in range(0, len(BODY), 5):
                await wire.send(BODY[place : place + 5])
                await asyncio.sleep(0.01)
            assert await wire.status() == 200

    await asyncio.gather(*(one() for _ in range(30)))


async def _half_requests(program: Running) -> None:
    halves = (
        b"P",
        _head()[:-2],
        _head() + BODY[:9],
        _head("Expect: 100-continue"),
        _head("Transfer-Encoding: chunked", length=None) + b"5\r\nab",
        _head("Transfer-Encoding: chunked", length=None) + b"ffffffff\r\n",
    )
    for half in halves * 15:
        async with Wire(program) as wire:
            await wire.send(half)


async def _oversized(program: Running) -> None:
    async with Wire(program) as wire:
        await wire.send(b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
        assert await wire.status() == 431
    async with Wire(program) as wire:
        await wire.send(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n")
        assert await wire.status() == 431
    for _ in range(5):
        async with Wire(program) as wire:
            await wire.send(_head(length=8 * MIB), *([b"x" * MIB] * 8))
            assert await wire.status() == 413
        async with Wire(program) as wire:
            chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
            await wire.send(_head("Transfer-Encoding: chunked", length=None), *([chunk] * 8), b"0\r\n\r\n")
            assert await wire.status() == 413
    async with Wire(program) as wire:
        await wire.send(_head("Expect: 100-continue", length=1 << 40))
        assert await wire.status() == 413


async def _pipelines(program: Running) -> None:
    async with Wire(program) as wire:
        await wire.send((_head() + BODY) * 40)
        assert [await wire.status() for _ in range(40)] == [200] * 40


async def _chunks(program: Running) -> None:
    async with Wire(program) as wire:
        chunks = [b"%x;note=1\r\n%b\r\n" % (1, BODY[i : i + 1]) for i in range(len(BODY))]
        await wire.send(_head("Transfer-Encoding: chunked", length=None), *chunks, b"0\r\n\r\n")
        assert await wire.status() == 200


async def _asks_first(program: Running) -> None:
    async with Wire(program) as wire:
        await wire.send(_head("Expect: 100-continue"))
        assert await wire.status() == 100
        await wire.send(BODY)
        assert await wire.status() == 200


async def _noise(program: Running) -> None:
    chance = random.Random(1)
    for _ in range(60):
        async with Wire(program) as wire:
            request = bytearray(_head() + BODY)
            for _ in range(chance.randrange(1, 20)):
                request[chance.randrange(len(request))] = chance.randrange(256)
            await wire.send(bytes(request))
        async with Wire(program) as wire:
            await wire.send(chance.randbytes(chance.randrange(1, 5000)))


async def _many_connections(program: Running) -> None:
    async def one() -> None:
        async with Wire(program) as wire:
            await asyncio.sleep(0.5)
            await wire.send(b"GET /v1/models HTTP/1.1\r\n\r\n")
            assert await wire.status() == 200

    await asyncio.gather(*(one() for _ in range(300)))


async def _leavers(program: Running) -> None:
    async def one() -> None:
        async with Wire(program) as wire:
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
    _noise,
    _many_connections,
    _leavers,
]


@pytest.fixture
async def client(program: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=program.url, timeout=60, trust_env=False, verify=False) as client:
        yield client


async def _is_idle(client: httpx.AsyncClient) -> bool:
    metrics = (await client.get("/metrics")).text
    return all(
        f'vllm:num_requests_{state}{{model_name="{MODEL}"}} 0.0' in metrics
        for state in ("running", "waiting")
    )


async def test_the_program_stays_up_and_its_memory_comes_back(
    program: Running, client: httpx.AsyncClient
) -> None:
    # What a first time fills is kept: caches, and what the allocator has got from the system.
    for trouble in TROUBLES:
        await trouble(program)
    before = _resident_bytes(program.pid)
    for _ in range(2):
        for trouble in TROUBLES:
            await trouble(program)
            answer = await client.post("/v1/completions", content=BODY)
            assert answer.status_code == 200, trouble.__name__
    for _ in range(100):
        if await _is_idle(client):
            break
        # The engine learns of clients that left with its next step.
        await client.post("/v1/completions", content=BODY)
    assert await _is_idle(client)
    assert _resident_bytes(program.pid) < before + 16 * MIB
    assert (await client.get("/health/live")).status_code == 200


def _resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
