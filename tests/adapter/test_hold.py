"""Requests that wait while their model has no replica that can take them."""

from __future__ import annotations

import asyncio
import json

import pytest
from adapter.conftest import KEY
from adapter.fake_engine import fake_engine
from aiohttp import web
from openaisle_adapter import hold

BODY = {"model": "fake/model", "prompt": "Once"}


async def refuse(_):
    return web.Response(status=503)


async def waiting(client) -> float:
    page = (await client.get("/metrics")).text
    [line] = [line for line in page.splitlines() if line.startswith("openaisle_adapter_waiting_requests ")]
    return float(line.split()[1])


async def test_request_waits_for_a_replica_that_comes(adapter, free_port, eventually):
    port = free_port()
    async with adapter(f"http://127.0.0.1:{port}", wait_s=30) as client:
        request = asyncio.create_task(client.post("/v1/completions", json=BODY))

        async def it_waits() -> bool:
            return await waiting(client) == 1

        await eventually(it_waits)
        async with fake_engine(port=port) as engine:
            assert (await request).status_code == 200
            assert len(engine.bodies) == 1
        assert await waiting(client) == 0


async def test_replica_that_is_replaced_in_the_middle_of_a_request_loses_no_request(adapter, free_port):
    """The old one dies before the first byte, and the new one comes at the same address."""
    port = free_port()
    arrived = asyncio.Event()

    async def never(_):
        arrived.set()
        await asyncio.Event().wait()

    async with adapter(f"http://127.0.0.1:{port}", wait_s=30) as client:
        async with fake_engine(handler=never, port=port):
            request = asyncio.create_task(client.post("/v1/completions", json=BODY))
            await arrived.wait()
        async with fake_engine(port=port):
            assert (await request).status_code == 200


async def test_replica_that_says_it_is_leaving_is_waited_out(adapter):
    async def leave(_):
        engine.healthy, engine.handler = True, engine.complete  # until then it takes nothing
        return web.Response(status=503)

    async with fake_engine(handler=leave) as engine, adapter(engine.url, wait_s=30) as client:
        engine.healthy = False
        assert (await client.post("/v1/completions", json=BODY)).status_code == 200
    assert len(engine.bodies) == 2


async def test_end_of_the_wait_is_503(adapter, free_port):
    async with adapter(f"http://127.0.0.1:{free_port()}", wait_s=0.2) as client:
        response = await client.post("/v1/completions", json=BODY)
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["error"]["type"] == "server_error"


async def test_end_of_the_wait_says_how_far_the_model_is(adapter):
    async with fake_engine(handler=refuse) as engine, adapter(engine.url, wait_s=0.2) as client:
        engine.healthy = False
        engine.health = {"status": "loading", "phase": "loading the weights", "fraction": 0.427}
        assert (await client.post("/v1/completions", json=BODY)).status_code == 503
        response = await client.post("/v1/completions", json=BODY)
    assert response.json()["error"]["message"] == (
        "The model `fake/model` has no replica that can take a request now: loading the weights, 43%. "
        "Please try again."
    )
    assert response.headers["retry-after"] == "2"


async def test_download_is_not_waited_for(adapter, eventually):
    async with fake_engine(handler=refuse) as engine, adapter(engine.url, wait_s=600) as client:
        engine.healthy = False
        engine.health = {"status": "downloading", "phase": "waiting for another", "fraction": None}
        response = await client.post("/v1/completions", json=BODY, timeout=30)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "10"
        assert "take a request now: waiting for another. Please" in response.json()["error"]["message"]
        assert await waiting(client) == 0
        engine.healthy, engine.health, engine.handler = True, {}, engine.complete

        async def it_answers() -> bool:
            return (await client.post("/v1/completions", json=BODY)).status_code == 200

        await eventually(it_answers)


@pytest.mark.parametrize(
    "health", [{}, {"phase": 7}, {"status": "draining"}, [], {"phase": "here", "fraction": "half"}]
)
async def test_replica_that_says_nothing_of_use_is_told_of_in_general(adapter, health):
    async with fake_engine(handler=refuse) as engine, adapter(engine.url, wait_s=0.2) as client:
        engine.healthy, engine.health = False, health
        await client.post("/v1/completions", json=BODY)
        response = await client.post("/v1/completions", json=BODY)
    assert response.status_code == 503
    words = "here" if "fraction" in health else "it is starting, or has failed and will be back"
    assert f" has no replica that can take a request now: {words}. " in response.json()["error"]["message"]


async def test_too_many_do_not_wait(adapter, free_port, monkeypatch):
    monkeypatch.setattr(hold, "MOST_WAITING", 0)
    async with adapter(f"http://127.0.0.1:{free_port()}", wait_s=600) as client:
        assert (await client.post("/v1/completions", json=BODY, timeout=5)).status_code == 503


async def test_client_that_leaves_waits_no_longer(adapter, free_port, eventually):
    async with adapter(f"http://127.0.0.1:{free_port()}", wait_s=600) as client:
        body = json.dumps(BODY).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = (
            f"POST /v1/completions HTTP/1.1\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n"
        )
        writer.write(head.encode() + b"\r\n" + body)

        async def it_waits() -> bool:
            return await waiting(client) == 1

        async def nobody_waits() -> bool:
            return await waiting(client) == 0

        await eventually(it_waits)
        writer.transport.abort()
        await eventually(nobody_waits)


@pytest.mark.parametrize("fields", [{"model": "no/such"}, {"model": 3}, {}])
async def test_bad_request_does_not_wait(adapter, free_port, fields):
    async with adapter(f"http://127.0.0.1:{free_port()}", wait_s=600) as client:
        assert (await client.post("/v1/completions", json=fields, timeout=5)).status_code in (400, 404)
