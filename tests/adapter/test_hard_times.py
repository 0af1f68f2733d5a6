"""Clients that write to the socket what they like, and many at once: the program and its memory stay well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from adapter.conftest import KEY
from adapter.fake_engine import FakeEngine, fake_engine
from adapter.program import client_of, running
from aiohttp import web
from fakes.hard_times import MAX_BODY_BYTES, Target, endure


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


@dataclass(frozen=True)
class Gateway:
    """A gateway in a process of its own, in front of an engine in this one."""

    engine: FakeEngine
    client: httpx.AsyncClient
    pid: int

    async def is_idle(self) -> bool:
        page = (await self.client.get("/metrics")).text
        outstanding = f'backend_outstanding_requests{{backend="{self.engine.url}"}} 0.0'
        return "openaisle_adapter_requests_in_flight 0.0" in page and outstanding in page


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    options = ["--host=127.0.0.1", "--port=0", f"--api-key={KEY}", f"--max-body-bytes={MAX_BODY_BYTES}"]
    async with (
        fake_engine(handler=_talk) as engine,
        running(*options, f"--backend=fake/model={engine.url}") as program,
        client_of(
            program,
            headers={"authorization": f"Bearer {KEY}"},
            limits=httpx.Limits(max_connections=None),
            timeout=60,
        ) as client,
    ):
        reading = asyncio.create_task(program.read_on())
        yield Gateway(engine, client, program.process.pid)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert "traceback" not in str(program.log)


async def test_the_program_stays_up_and_its_memory_comes_back(gateway):
    key = f"Authorization: Bearer {KEY}"
    target = Target(str(gateway.client.base_url), gateway.pid, "fake/model", (key,))
    await endure(target, gateway.client, gateway.is_idle)


async def test_two_hundred_streams_at_once_are_whole_and_apart(gateway, eventually):
    async def one(number: int) -> None:
        prompt = f"prompt {number}"
        body = {"model": "fake/model", "prompt": prompt, "stream": True}
        async with gateway.client.stream("POST", "/v1/completions", json=body) as response:
            received = await response.aread()
        assert response.status_code == 200
        assert received == b"".join(_event(prompt, i) for i in range(40)) + b"data: [DONE]\n\n"

    await asyncio.gather(*(one(number) for number in range(200)))
    await eventually(gateway.is_idle)
