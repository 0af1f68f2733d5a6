"""Model servers that are away, die or hang."""

from __future__ import annotations

import asyncio
import json

import httpx
import openai
import pytest
from adapter.conftest import KEY
from adapter.fake_engine import fake_engine, stream_of
from aiohttp import web
from openaisle_adapter import body
from openaisle_adapter.settings import StaticBackend

BODY = {"model": "fake/model", "prompt": "Once"}


def assert_unavailable(response: httpx.Response) -> None:
    error = response.json()["error"]
    assert response.status_code == 503
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["type"] == "server_error"
    assert int(response.headers["retry-after"]) > 0


async def die(request: web.Request) -> web.StreamResponse:
    """Cut the connection before the first byte of an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def everything_until_the_cut(client: httpx.AsyncClient) -> bytes:
    """What comes of a stream that ends without the end that HTTP wants."""
    received = b""
    async with client.stream("POST", "/v1/completions", json=BODY) as response:
        try:
            async for chunk in response.aiter_raw():
                received += chunk
        except httpx.RemoteProtocolError:
            return received
    raise AssertionError("the stream ended as if it were complete")


async def test_backend_that_is_gone_gives_503_at_once(adapter, free_port):
    async with adapter(f"http://127.0.0.1:{free_port()}") as client:
        assert_unavailable(await client.post("/v1/completions", json=BODY))
        assert_unavailable(await client.post("/v1/completions", json={**BODY, "stream": True}))


async def test_backend_that_comes_back_is_used_again(adapter, free_port, eventually):
    port = free_port()
    async with adapter(f"http://127.0.0.1:{port}") as client:
        assert_unavailable(await client.post("/v1/completions", json=BODY))
        async with fake_engine(port=port):
            await eventually(lambda: answers(client))
        assert_unavailable(await client.post("/v1/completions", json=BODY))
        async with fake_engine(port=port):
            await eventually(lambda: answers(client))


async def answers(client: httpx.AsyncClient) -> bool:
    return (await client.post("/v1/completions", json=BODY)).status_code == 200


async def test_models_of_a_backend_that_starts_later_are_learned(adapter, free_port, eventually):
    port = free_port()
    async with adapter(StaticBackend(f"http://127.0.0.1:{port}")) as client:
        assert_unavailable(await client.post("/v1/completions", json=BODY))
        assert_unavailable(await client.get("/v1/models/fake/model"))
        assert (await client.get("/health/ready")).status_code == 503
        async with fake_engine(port=port):
            await eventually(lambda: answers(client))
            assert (await client.get("/health/ready")).status_code == 200
            models = (await client.get("/v1/models")).json()["data"]
            assert [model["id"] for model in models] == ["fake/model"]
            assert models[0]["max_model_len"] == 99  # the engine's own words


async def test_another_replica_answers_when_one_dies_before_the_first_byte(adapter):
    async with (
        fake_engine(handler=die) as bad,
        fake_engine() as good,
        adapter(bad.url, good.url) as client,
    ):
        bad.healthy = False
        for _ in range(4):
            assert (await client.post("/v1/completions", json=BODY)).status_code == 200
    assert len(good.bodies) == 4
    assert len(bad.bodies) <= 2


async def test_request_that_kills_its_replicas_does_not_meet_them_all(adapter):
    async with (
        fake_engine(handler=die) as one,
        fake_engine(handler=die) as two,
        fake_engine(handler=die) as three,
        adapter(one.url, two.url, three.url) as client,
    ):
        assert_unavailable(await client.post("/v1/completions", json=BODY))
    assert len(one.bodies) + len(two.bodies) + len(three.bodies) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_another_replica_answers_when_one_is_overloaded(adapter, status):
    async def refuse(_):
        return web.json_response({}, status=status, headers={"retry-after": "7"})

    async with (
        fake_engine(handler=refuse) as busy,
        fake_engine() as idle,
        adapter(busy.url, idle.url) as client,
    ):
        for _ in range(4):
            assert (await client.post("/v1/completions", json=BODY)).status_code == 200


@pytest.mark.parametrize("status", [429, 503])
async def test_refusal_of_the_only_replica_is_passed_on(adapter, status):
    async def refuse(_):
        return web.json_response({"error": "mine"}, status=status, headers={"retry-after": "7"})

    async with fake_engine(handler=refuse) as engine, adapter(engine.url) as client:
        response = await client.post("/v1/completions", json=BODY)
    assert (response.status_code, response.json()) == (status, {"error": "mine"})
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [400, 404, 408, 413, 415, 429, 431, 500, 502, 503, 504])
async def test_error_of_the_engine_comes_back_as_it_was(adapter, status):
    body = b'{ "error" : {"message": "mine", "type": "mine", "param": null, "code": null}}'

    async def refuse(_):
        return web.Response(status=status, body=body, content_type="application/json")

    async with fake_engine(handler=refuse) as engine, adapter(engine.url) as client:
        response = await client.post("/v1/completions", json=BODY)
    assert (response.status_code, response.content) == (status, body)


@pytest.mark.parametrize("status", [403, 404, 413, 429, 500, 502, 503, 504])
async def test_error_of_a_proxy_in_between_is_told_in_the_form_of_the_api(adapter, status):
    async def refuse(_):
        text = "<html><h1>upstream connect error</h1></html>"
        return web.Response(status=status, text=text, content_type="text/html", headers={"retry-after": "7"})

    async with fake_engine(handler=refuse) as engine, adapter(engine.url) as client:
        response = await client.post("/v1/completions", json=BODY)
    error = response.json()["error"]
    assert response.status_code == status
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    assert str(status) in error["message"]
    assert response.headers["retry-after"] == "7"


async def test_redirection_of_a_model_server_is_no_answer(adapter):
    async def redirect(_):
        raise web.HTTPFound("https://elsewhere.example/")

    async with fake_engine(handler=redirect) as engine, adapter(engine.url) as client:
        response = await client.post("/v1/completions", json=BODY)
    assert (response.status_code, response.json()["error"]["type"]) == (502, "server_error")
    assert "302" in response.json()["error"]["message"]


async def test_bad_request_is_never_sent_twice(adapter):
    async def refuse(_):
        return web.json_response({}, status=400)

    async with (
        fake_engine(handler=refuse) as one,
        fake_engine(handler=refuse) as two,
        adapter(one.url, two.url) as client,
    ):
        assert (await client.post("/v1/completions", json=BODY)).status_code == 400
    assert len(one.bodies) + len(two.bodies) == 1


async def test_stream_that_dies_ends_in_an_error_event_and_a_cut(adapter):
    handler = stream_of(b"data: 1\n\n", b"data: half an ev", die=True)
    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        received = await everything_until_the_cut(client)
    events = received.split(b"\n\n")
    assert events[0] == b"data: 1"
    assert json.loads(events[1].removeprefix(b"data: "))["error"]["type"] == "server_error"
    assert events[2:] == [b""]
    assert len(engine.bodies) == 1


async def test_openai_client_raises_when_a_stream_dies(adapter):
    handler = stream_of(b'data: {"choices": []}\n\n', b'data: {"choices": []}\n\n', die=True)
    async with (
        fake_engine(handler=handler) as engine,
        adapter(engine.url) as client,
        openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key=KEY, max_retries=0) as api,
    ):
        stream = await api.completions.create(model="fake/model", prompt="x", stream=True)
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in stream:
                pass


async def test_plain_answer_that_breaks_off_is_cut(adapter):
    async def handler(request):
        response = web.StreamResponse(headers={"content-length": "100", "content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"half')
        request.transport.close()
        return response

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/v1/completions", json=BODY)
        engine.handler = engine.complete
        assert (await client.post("/v1/completions", json=BODY)).status_code == 200


async def test_plain_answer_without_its_body_gives_502(adapter):
    async def handler(request):
        response = web.StreamResponse(headers={"content-length": "100", "content-type": "application/json"})
        await response.prepare(request)
        request.transport.close()
        return response

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        response = await client.post("/v1/completions", json=BODY)
        page = (await client.get("/metrics")).text
    assert response.status_code == 502
    assert response.json()["error"]["type"] == "server_error"
    assert 'requests_total{code="502",model="fake/model"} 1.0' in page


async def test_silent_backend_gives_504(adapter):
    async def handler(_):
        await asyncio.Event().wait()

    async with fake_engine(handler=handler) as engine, adapter(engine.url, timeout_s=0.2) as client:
        response = await client.post("/v1/completions", json=BODY)
        await asyncio.wait_for(engine.cancelled.wait(), 5)
    assert response.status_code == 504
    assert response.json()["error"]["type"] == "server_error"


async def test_stream_that_goes_silent_ends_in_an_error_event(adapter):
    handler = stream_of(b"data: 1\n\n", b"data: 2\n\n", gate=asyncio.Event())
    async with fake_engine(handler=handler) as engine, adapter(engine.url, timeout_s=0.2) as client:
        received = await everything_until_the_cut(client)
    assert b"went silent" in received


async def test_backend_that_does_not_speak_http_gives_502(adapter):
    async def babble(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, adapter(f"http://127.0.0.1:{port}") as client:
        response = await client.post("/v1/completions", json=BODY)
    assert response.status_code == 502
    assert response.json()["error"]["type"] == "server_error"


async def test_body_that_does_not_come_gives_408(adapter, monkeypatch):
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.1)
    half = f"POST /v1/completions HTTP/1.1\r\nauthorization: Bearer {KEY}\r\ncontent-length: 9\r\n\r\n{{"
    async with fake_engine() as engine, adapter(engine.url) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(half.encode())
        status = (await asyncio.wait_for(reader.readline(), 5)).split()[1]
        writer.close()
        await writer.wait_closed()
    assert status == b"408"
    assert engine.bodies == []


async def test_clients_that_hang_up_anywhere_leave_nothing_behind(adapter, eventually):
    """Half heads, half bodies and unread answers, each cut off; then all is as before."""
    body = b'{"model": "fake/model"}'
    whole = (
        f"POST /v1/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body
    async with fake_engine() as engine, adapter(engine.url) as client:
        for length in range(0, len(whole) + 1, 3):
            _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            writer.write(whole[:length])
            await writer.drain()
            writer.transport.abort()
        assert (await client.post("/v1/completions", json=BODY)).status_code == 200

        async def all_is_over() -> bool:
            page = (await client.get("/metrics")).text
            outstanding = f'backend_outstanding_requests{{backend="{engine.url}"}} 0.0'
            return "openaisle_adapter_requests_in_flight 0.0" in page and outstanding in page

        await eventually(all_is_over)
