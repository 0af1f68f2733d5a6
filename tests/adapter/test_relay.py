"""A request on its way to a model server, and the answer on its way back."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import random

import openai
import pytest
from adapter.conftest import KEY
from adapter.fake_engine import fake_engine, stream_of
from aiohttp import web
from openaisle_adapter.settings import StaticBackend

BODY = b'{"model": "fake/model", "prompt": "\\ud83d\\ude00 Once", "max_tokens" : 16}'


async def test_request_body_reaches_the_engine_byte_for_byte(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        await client.post("/v1/completions", content=BODY)
    assert engine.bodies == [BODY]


async def test_plain_answer_comes_back_byte_for_byte(adapter):
    answer = gzip.compress(b'{ "odd":  "spacing" }')

    async def handler(_):
        return web.Response(
            body=answer,
            status=203,
            headers={
                "content-encoding": "gzip",
                "content-type": "application/x-odd",
                "openai-processing-ms": "12",
                "x-odd": "kept",
            },
        )

    async with (
        fake_engine(handler=handler) as engine,
        adapter(engine.url) as client,
        client.stream("POST", "/v1/completions", content=BODY) as response,
    ):
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert (response.status_code, raw) == (203, answer)
    assert response.headers["content-length"] == str(len(answer))
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-type"] == "application/x-odd"
    assert response.headers["openai-processing-ms"] == "12"
    assert response.headers["x-odd"] == "kept"


async def test_stream_comes_back_byte_for_byte_and_as_it_comes(adapter):
    gate = asyncio.Event()
    first, last = b'data: {"a": 1}\n\n', b"data: [DONE]\n\n"
    handler = stream_of(first, last, gate=gate)
    async with (
        fake_engine(handler=handler) as engine,
        adapter(engine.url) as client,
        client.stream("POST", "/v1/completions", content=BODY) as response,
    ):
        chunks = response.aiter_raw()
        assert await anext(chunks) == first  # while the engine still holds back the rest
        gate.set()
        assert b"".join([chunk async for chunk in chunks]) == last
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-cache"
    assert "content-length" not in response.headers


async def test_client_of_http_1_0_can_tell_a_broken_answer_from_a_whole_one(adapter):
    """Where an answer ends with its connection, a broken one ends with a reset."""

    async def handler(request):
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"half')
        request.transport.abort()
        return response

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = f"POST /v1/completions HTTP/1.0\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(BODY)}"
        writer.write(head.encode() + b"\r\n\r\n" + BODY)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", "application/x-odd"])
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
async def test_whatever_the_bytes_and_their_pieces_they_come_back_the_same(adapter, content_type, framing):
    chance = random.Random(7)
    parts = [b"data: ", b"\n", b"\r\n", b"\n\n", b"\xe2\x82", b"\xac", b'{"usage": ', b"\0", b"x" * 5000]
    pieces: list[bytes] = []

    async def handler(request):
        response = web.StreamResponse(headers={"content-type": content_type})
        if framing == "length":
            response.content_length = sum(map(len, pieces))
        elif framing == "close":
            response.force_close()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        for _ in range(10):
            pieces[:] = [b"".join(chance.choices(parts, k=chance.randrange(1, 9))) for _ in range(9)]
            response = await client.post("/v1/completions", content=BODY)
            assert response.content == b"".join(pieces)


async def test_stream_of_any_server_is_marked_as_not_to_be_buffered(adapter):
    async def handler(request):
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await response.write(b"data: [DONE]\n\n")
        return response

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        response = await client.post("/v1/completions", content=BODY)
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_private_and_hop_headers_stay_here_and_others_go_on(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        await client.post(
            "/v1/completions",
            content=BODY,
            headers={
                "cookie": "a=b",
                "connection": "keep-alive, x-hop",
                "x-hop": "1",
                "te": "trailers",
                "x-openaisle-key-name": "forged",
                "x-request-id": "mine-1",
                "user-agent": "me/1",
                "content-type": "application/json",
            },
        )
    seen = engine.requests[0].headers
    assert not {"authorization", "cookie", "x-hop", "te", "expect"} & {name.lower() for name in seen}
    assert seen.getall("x-openaisle-key-name") == ["api-key"]
    assert seen.getall("x-request-id") == ["mine-1"]
    assert seen["user-agent"] == "me/1"
    assert seen["content-type"] == "application/json"


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "caf\u00e9"])
async def test_request_id_that_cannot_be_kept_is_replaced(adapter, given):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.post(
            "/v1/completions", content=BODY, headers={"x-request-id": given.encode("utf-8")}
        )
    made = response.headers["x-request-id"]
    assert made.startswith("req_")
    assert engine.requests[0].headers["x-request-id"] == made


async def test_own_errors_carry_the_request_id_too(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.get("/nowhere", headers={"x-request-id": "mine-2"})
    assert response.headers["x-request-id"] == "mine-2"


async def test_client_that_leaves_a_stream_frees_the_engine(adapter):
    gate = asyncio.Event()
    handler = stream_of(b"data: a\n\n", b"data: b\n\n", gate=gate)
    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        async with client.stream("POST", "/v1/completions", content=BODY) as response:
            await anext(response.aiter_raw())
        await asyncio.wait_for(engine.cancelled.wait(), 5)


@pytest.mark.parametrize("padding", [0, 100_000, 1_000_000])
async def test_client_that_leaves_before_the_answer_frees_the_engine(adapter, padding):
    arrived = asyncio.Event()
    # Sanic reads on only when it is asked to once it has 64 KiB in hand, and would not see the end.
    body = BODY + padding * b" "

    async def handler(_):
        arrived.set()
        await asyncio.Event().wait()

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        request = asyncio.create_task(client.post("/v1/completions", content=body))
        await arrived.wait()
        request.cancel()
        await asyncio.wait_for(engine.cancelled.wait(), 5)
        await asyncio.gather(request, return_exceptions=True)


async def test_slow_client_slows_the_engine_down(adapter):
    """Little of a huge answer is buffered on the way while nobody reads it."""
    sent = 0

    async def handler(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(bytes(65536))
            sent += 65536
        return response

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        async with client.stream("POST", "/v1/completions", content=BODY):
            before = -1
            while sent != before:  # until the engine's writes have stopped
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 32 * 1024 * 1024
        await asyncio.wait_for(engine.cancelled.wait(), 5)


async def test_body_that_is_no_json_is_judged_by_the_engine(adapter):
    async def handler(_):
        return web.json_response({"error": {"message": "the engine's words"}}, status=400)

    async with fake_engine(handler=handler) as engine, adapter(engine.url) as client:
        for body in (b"{{", b"[1]", b"", b"\xff\xfe", b"[" * 100_000):
            response = await client.post("/v1/completions", content=body)
            assert (response.status_code, response.json()["error"]["message"]) == (400, "the engine's words")


async def test_body_that_is_no_json_is_refused_here_when_no_engine_is_ready(adapter, free_port):
    async with adapter(f"http://127.0.0.1:{free_port()}") as client:
        response = await client.post("/v1/completions", content=b"{{")
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "path", ["/v1/engines/fake/model/completions", "/v1/engines/fake%2Fmodel/completions"]
)
async def test_legacy_route_names_the_model_in_the_path(adapter, path):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.post(path, json={"prompt": "x"})
    assert response.status_code == 200
    assert engine.requests[0].raw_path == path


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_model_has_to_be_named_for_a_completion(adapter, path):
    async with fake_engine() as engine, adapter(engine.url) as client:
        assert (await client.post(path, json={"prompt": "x"})).status_code == 400
        assert (await client.post(path, json={"model": "fake/model"})).status_code == 200
    assert [request.raw_path for request in engine.requests] == [path]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/tokenize"), ("POST", "/detokenize"), ("GET", "/tokenizer_info")]
)
@pytest.mark.parametrize("below_v1", [False, True])
async def test_tokenizer_routes_need_no_model_where_there_is_only_one(adapter, method, path, below_v1):
    asked = f"/v1{path}" if below_v1 else path
    async with fake_engine() as engine, adapter(engine.url) as client:
        assert (await client.request(method, asked, json={"prompt": "x"})).status_code == 200
    assert engine.requests[0].raw_path == path
    assert engine.bodies == [b'{"prompt":"x"}']


async def test_tokenizer_routes_find_the_model_that_is_named(adapter):
    async with (
        fake_engine("org/one") as one,
        fake_engine("org/two") as two,
        adapter(StaticBackend(one.url, "org/one"), StaticBackend(two.url, "org/two")) as client,
    ):
        assert (await client.post("/tokenize", json={"model": "org/two"})).status_code == 200
        assert (await client.get("/tokenizer_info?model=org%2Ftwo")).status_code == 200
        for response in (await client.post("/tokenize", json={}), await client.get("/tokenizer_info")):
            assert response.status_code == 400
            assert response.json()["error"]["param"] == "model"
        assert (await client.get("/tokenizer_info?model=no")).status_code == 404
    assert (len(one.requests), len(two.requests)) == (0, 2)


async def test_client_of_http_1_0_gets_a_stream_without_chunks(adapter):
    first, last = b'data: {"a": 1}\n\n', b"data: [DONE]\n\n"
    async with fake_engine(handler=stream_of(first, last)) as engine, adapter(engine.url) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = f"POST /v1/completions HTTP/1.0\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(BODY)}"
        writer.write(head.encode() + b"\r\nconnection: keep-alive\r\n\r\n" + BODY)
        answer = await asyncio.wait_for(reader.read(), 5)  # to the end of the connection
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == first + last
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()


async def test_openai_client_completes_streams_and_retrieves(adapter):
    chunk = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "facebook/opt-125m"}
    text = {"text": " there", "index": 0, "logprobs": None, "finish_reason": "stop"}

    async def handler(request):
        if (await request.json()).get("stream"):
            event = b"data: " + json.dumps({**chunk, "choices": [text]}).encode() + b"\n\n"
            return await stream_of(event, b"data: [DONE]\n\n")(request)
        return web.json_response({**chunk, "choices": [text]})

    async with (
        fake_engine("facebook/opt-125m", handler) as engine,
        adapter(StaticBackend(engine.url, "facebook/opt-125m")) as client,
        openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key=KEY, max_retries=0) as api,
    ):
        model = await api.models.retrieve("facebook/opt-125m")
        plain = await api.completions.create(model=model.id, prompt="Hi")
        stream = await api.completions.create(model=model.id, prompt="Hi", stream=True)
        streamed = [part.choices[0].text async for part in stream]
        with pytest.raises(openai.NotFoundError, match="`no/such`"):
            await api.models.retrieve("no/such")
    assert (model.id, plain.choices[0].text, streamed) == ("facebook/opt-125m", " there", [" there"])
