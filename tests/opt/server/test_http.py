"""Routes, methods, headers and bodies, down to the bytes on the socket."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from typing import Any

import httpx
import pytest
from opt.server.conftest import MODEL, ServeApp, Served

BODY = json.dumps({"model": MODEL, "prompt": "hello"}).encode()


async def test_the_model_is_listed_and_found_in_both_spellings(served: Served) -> None:
    model = {
        "id": MODEL,
        "object": "model",
        "created": (await served.client.get("/v1/models")).json()["data"][0]["created"],
        "owned_by": "openaisle",
        "max_model_len": 64,
    }
    for path in ("/v1/models", "/v1/models/"):
        assert (await served.client.get(path)).json() == {"object": "list", "data": [model]}
    for spelling in (MODEL, MODEL.replace("/", "%2F"), MODEL.replace("/", "%2f")):
        assert (await served.client.get(f"/v1/models/{spelling}")).json() == model
    missing = await served.client.get("/v1/models/other%2Fmodel")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"
    assert "`other/model`" in missing.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/models", f"/v1/models/{MODEL}", "/health/live", "/metrics"])
async def test_head_is_get_without_a_body(served: Served, path: str) -> None:
    response = await served.client.head(path)
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/completions", "OPTIONS, POST"),
        ("/v1/models", "GET, HEAD, OPTIONS"),
        (f"/v1/models/{MODEL}", "GET, HEAD, OPTIONS"),
        (f"/v1/engines/{MODEL}/completions", "OPTIONS, POST"),
        ("/tokenize", "OPTIONS, POST"),
        ("/health/ready", "GET, HEAD, OPTIONS"),
    ],
)
async def test_methods_that_a_route_does_not_know_are_named(served: Served, path: str, allow: str) -> None:
    options = await served.client.options(path)
    assert (options.status_code, options.content, options.headers["allow"]) == (204, b"", allow)
    response = await served.client.delete(path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    assert response.json()["error"] == {
        "message": f"DELETE is not allowed for {path}; use {allow}.",
        "type": "invalid_request_error",
        "param": None,
        "code": "method_not_allowed",
    }


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/completions", "The path lacks /v1: ask for /v1/completions"),
        ("/v1/v1/completions", "/v1 is there twice"),
        ("/chat/completions", "ask for /v1/chat/completions"),
        ("/models", "ask for /v1/models"),
        ("/v1/completions/more", "the client adds /completions itself"),
        ("/", "The routes are POST /v1/completions"),
        ("/v1", "The routes are POST /v1/completions"),
        ("/nothing/here", "GET /v1/models"),
        ("/%ff%00", "/v1/completions"),
    ],
)
async def test_an_unknown_route_says_which_is_meant(served: Served, path: str, hint: str) -> None:
    response = await served.client.post(path, content=BODY)
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["message"].startswith(f"Invalid URL (POST {path}).")
    assert hint in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, "unknown_url")


async def test_a_request_id_is_kept_if_it_is_one(served: Served) -> None:
    for given, kept in [
        ("abc-123", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("a b", False),
        ("", False),
    ]:
        for path in ("/v1/models", "/nothing"):
            response = await served.client.get(path, headers={"x-request-id": given})
            assert (response.headers["x-request-id"] == given) is kept
            assert response.headers["x-request-id"]


async def test_request_ids_are_unique(served: Served) -> None:
    ids = {(await served.client.get("/v1/models")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 200),
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
async def test_json_may_come_under_curls_default_type(
    served: Served, content_type: str | None, status: int
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = await served.client.post("/v1/completions", content=BODY, headers=headers)
    assert response.status_code == status
    if status == 415:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_compressed_body_is_refused(served: Served) -> None:
    response = await served.client.post(
        "/v1/completions", content=gzip.compress(BODY), headers={"content-encoding": "gzip"}
    )
    assert response.status_code == 415
    assert "'gzip'" in response.json()["error"]["message"]
    plain = await served.client.post(
        "/v1/completions", content=BODY, headers={"content-encoding": "identity"}
    )
    assert plain.status_code == 200


async def _parts(*parts: bytes) -> Any:
    for part in parts:
        yield part


async def test_a_body_may_come_in_chunks(served: Served) -> None:
    response = await served.client.post("/v1/completions", content=_parts(BODY[:5], BODY[5:9], BODY[9:]))
    assert response.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [1025, 10_000_000])
async def test_a_body_over_the_limit_is_too_large(serve_app: ServeApp, chunked: bool, size: int) -> None:
    served = await serve_app(max_body_bytes=1024)
    body = b"x" * size
    content = _parts(*(body[i : i + 65536] for i in range(0, size, 65536))) if chunked else body
    response = await served.client.post("/v1/completions", content=content)
    assert response.status_code == 413
    assert response.json()["error"] == {
        "message": "The request body is larger than the limit of 1024 bytes.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    exact = BODY[:-1] + b" " * (1024 - len(BODY)) + b"}"
    assert (await served.client.post("/v1/completions", content=exact)).status_code == 200


class Wire:
    """A connection on which a test writes bytes as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer that is not streamed."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        line, *lines = head.strip().split("\r\n")
        headers = dict(part.lower().split(": ", 1) for part in lines)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(line.split()[1]), headers, body


@contextlib.asynccontextmanager
async def _wire(served: Served) -> Any:
    url = httpx.URL(served.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def _request(body: bytes = BODY, *headers: str) -> bytes:
    lines = ["POST /v1/completions HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_requests_may_follow_each_other_without_waiting(served: Served) -> None:
    async with _wire(served) as wire:
        wire.writer.write(_request() * 3)
        assert [(await wire.answer())[0] for _ in range(3)] == [200, 200, 200]


async def test_a_body_may_come_byte_by_byte(served: Served) -> None:
    async with _wire(served) as wire:
        for byte in _request():
            wire.writer.write(bytes([byte]))
            await wire.writer.drain()
        assert (await wire.answer())[0] == 200


async def test_a_client_may_ask_before_it_sends_its_body(served: Served) -> None:
    async with _wire(served) as wire:
        head, body = _request(BODY, "Expect: 100-continue").split(b"\r\n\r\n")
        wire.writer.write(head + b"\r\n\r\n")
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.writer.write(body)
        assert (await wire.answer())[0] == 200


async def test_a_body_that_is_refused_is_not_asked_for(serve_app: ServeApp) -> None:
    served = await serve_app(max_body_bytes=1024)
    for path, size, status in (("/v1/completions", 2000, 413), ("/nothing", 5, 404), ("/v1/models", 5, 405)):
        async with _wire(served) as wire:
            head = f"POST {path} HTTP/1.1\r\nContent-Length: {size}\r\nExpect: 100-continue\r\n\r\n"
            wire.writer.write(head.encode())
            got, headers, _ = await wire.answer()
            assert (got, headers["connection"]) == (status, "close")
            assert await asyncio.wait_for(wire.reader.read(), 10) == b""


@pytest.mark.parametrize("header", ["", "Connection: keep-alive\r\n"])
async def test_a_stream_to_a_client_of_http_1_0_ends_with_its_connection(served: Served, header: str) -> None:
    served.says("hello world")
    body = json.dumps({"model": MODEL, "prompt": "a", "stream": True, "max_tokens": 2}).encode()
    async with _wire(served) as wire:
        head = f"POST /v1/completions HTTP/1.0\r\nContent-Length: {len(body)}\r\n{header}\r\n"
        wire.writer.write(head.encode() + body)
        answer = (await asyncio.wait_for(wire.reader.read(), 10)).decode()
    head, _, events = answer.partition("\r\n\r\n")
    assert "transfer-encoding" not in head
    assert "content-length" not in head
    assert "connection: close" in head
    *chunks, done = events.removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    texts = [json.loads(chunk.removeprefix("data: "))["choices"][0]["text"] for chunk in chunks]
    assert "".join(texts) == "hello world"


async def test_a_client_of_http_1_0_is_not_told_to_continue(served: Served) -> None:
    async with _wire(served) as wire:
        wire.writer.write(_request(BODY, "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await wire.answer())[0] == 200


async def test_a_client_of_http_1_0_may_keep_its_connection_for_whole_answers(served: Served) -> None:
    async with _wire(served) as wire:
        request = _request(BODY, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
        for _ in range(2):
            wire.writer.write(request)
            status, headers, _ = await wire.answer()
            assert (status, headers["connection"]) == (200, "keep-alive")


async def test_pages_of_other_origins_may_use_the_api(served: Served) -> None:
    origin = {"origin": "http://localhost:3000"}
    preflight = await served.client.options(
        "/v1/completions",
        headers={
            **origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "Authorization, x-stainless-os",
        },
    )
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "x-stainless-os"} <= set(allowed)
    whole = await served.client.post("/v1/completions", content=BODY, headers=origin)
    missing = await served.client.get("/nothing", headers=origin)
    streamed = await served.post(prompt="hello", stream=True)
    for response in (whole, missing, streamed):
        assert response.headers["access-control-allow-origin"] == "*"
        assert "x-request-id" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET x\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET HTTP/1.1 HTTP/1.1\r\n\r\n", 400),
        (b"GET a\nb HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (_request().replace(b"Content-Length: ", b"Content-Length: x"), 400),
        (_request(BODY, "Content-Length: 5"), 400),
        (_request(BODY, "Expect: wonders"), 417),
        (b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_broken_http_gets_the_same_error_shape(served: Served, raw: bytes, status: int) -> None:
    async with _wire(served) as wire:
        wire.writer.write(raw)
        got, headers, body = await wire.answer()
        assert got == status, body
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        assert headers["x-request-id"]
    assert (await served.client.get("/health/live")).status_code == 200


async def test_half_a_request_leaves_nothing_behind(served: Served) -> None:
    for part in (
        b"POST",
        _request()[:-5],
        b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ):
        async with _wire(served) as wire:
            wire.writer.write(part)
            await wire.writer.drain()
    await asyncio.wait_for(served.context.health.idle.wait(), 10)
    assert (await served.post(prompt="hello")).status_code == 200
    assert served.context.engine.num_outstanding == 0


async def test_text_becomes_tokens_and_back_as_at_vllm(served: Served) -> None:
    tokenized = await served.post("/tokenize", prompt="hello world", return_token_strs=True)
    assert tokenized.json() == {
        "count": 3,
        "max_model_len": 64,
        "tokens": [2, 263, 268],
        "token_strs": ["</s>", "hello", "Ġworld"],
    }
    plain = await served.client.post("/tokenize", json={"prompt": "hello", "add_special_tokens": False})
    assert plain.json() == {"count": 1, "max_model_len": 64, "tokens": [263], "token_strs": None}
    text = await served.post("/detokenize", tokens=[2, 263, 268])
    assert text.json() == {"prompt": "</s>hello world"}
    info = (await served.client.get("/tokenizer_info")).json()
    assert (info["bos_token"], info["eos_token"]) == ("</s>", "</s>")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": 5}, "prompt"),
        ("/tokenize", {"prompt": "a", "add_special_tokens": 1}, "add_special_tokens"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": [True]}, "tokens"),
        ("/detokenize", {"tokens": [300]}, "tokens"),
        ("/detokenize", {"tokens": [1], "other": 1}, "other"),
    ],
)
async def test_the_tokenizers_routes_refuse_what_they_cannot_read(
    served: Served, path: str, body: dict[str, Any], param: str
) -> None:
    response = await served.client.post(path, json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_what_a_model_waits_for_is_in_its_health_in_errors_and_in_the_metrics(
    serve_app: ServeApp,
) -> None:
    served = await serve_app(loaded=False)
    health = served.context.health
    health.status = "downloading"
    health.report("downloading lab/opt (9 MB in 6 files)", 0.421)
    assert (await served.client.get("/health/ready")).json() == {
        "status": "downloading",
        "phase": "downloading lab/opt (9 MB in 6 files)",
        "fraction": 0.421,
    }
    refused = (await served.post(prompt="hello")).json()["error"]["message"]
    assert refused.startswith("The model is still loading (downloading lab/opt (9 MB in 6 files), 42%).")
    lines = (await served.client.get("/metrics")).text.splitlines()
    assert f'openaisle_startup_fraction{{model_name="{MODEL}"}} 0.421' in lines
    assert f'openaisle_status{{model_name="{MODEL}",status="downloading"}} 1.0' in lines
    health.status = "ready"
    metrics = (await served.client.get("/metrics")).text
    assert "openaisle_startup_fraction" not in metrics
    assert f'openaisle_status{{model_name="{MODEL}",status="ready"}} 1.0' in metrics
    assert f'openaisle_status{{model_name="{MODEL}",status="downloading"}} 0.0' in metrics


async def test_health_tells_loading_ready_and_draining_apart(serve_app: ServeApp) -> None:
    served = await serve_app(loaded=False)
    assert (await served.client.get("/health/live")).status_code == 200
    loading = await served.client.get("/health/ready")
    assert loading.status_code == 503
    assert loading.json() == {"status": "loading", "phase": "starting", "fraction": None}
    served.context.health.status = "ready"
    assert (await served.client.get("/health/ready")).json() == {"status": "ready"}
    served.context.health.status = "draining"
    draining = await served.client.get("/health/ready")
    assert (draining.status_code, draining.json()) == (503, {"status": "draining"})
    refused = await served.post(prompt="hello")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (await served.client.get("/v1/models")).json()["data"][0]["max_model_len"] is None


async def test_an_engine_that_is_silent_with_work_to_do_is_not_alive(served: Served) -> None:
    served.engine.hold = True
    posting = asyncio.create_task(served.post(prompt="hello"))
    await served.engine.submitted.get()
    assert (await served.client.get("/health/live")).status_code == 200
    served.context.engine.last_heard -= 601
    assert (await served.client.get("/health/live")).json()["status"] == "stalled"
    served.engine.release()
    await posting
    served.context.engine.last_heard -= 601
    assert (await served.client.get("/health/live")).status_code == 200


async def test_metrics_have_the_names_of_vllms_dashboards(served: Served) -> None:
    served.says("hello world")
    await served.complete(prompt="hello", max_tokens=2, n=2)
    await served.refuse(404, model="other")
    lines = (await served.client.get("/metrics")).text.splitlines()
    label = f'{{model_name="{MODEL}"}}'
    for line in (
        f"vllm:num_requests_running{label} 3.0",
        f"vllm:num_requests_waiting{label} 4.0",
        f"vllm:kv_cache_usage_perc{label} 0.25",
        f"vllm:num_preemptions_total{label} 5.0",
        f"vllm:prompt_tokens_total{label} 100.0",
        f"vllm:generation_tokens_total{label} 200.0",
        f"vllm:prefix_cache_hits_total{label} 50.0",
        f"vllm:time_to_first_token_seconds_count{label} 1.0",
        f"vllm:e2e_request_latency_seconds_count{label} 1.0",
        f"vllm:request_generation_tokens_sum{label} 4.0",
        f'vllm:request_success_total{{finished_reason="length",model_name="{MODEL}"}} 2.0',
        'openaisle_http_requests_total{route="/v1/completions",status="200"} 1.0',
        'openaisle_http_requests_total{route="/v1/completions",status="404"} 2.0',
    ):
        assert line in lines


async def test_every_request_has_a_line_in_the_log(
    served: Served, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "openaisle_opt")
    headers = {"x-request-id": "abc", "x-openaisle-key-name": "alice"}
    body = {"model": MODEL, "prompt": "hello", "max_tokens": 1, "user": "u1"}
    await served.client.post("/v1/completions", json=body, headers=headers)
    await served.client.post("/v1/completions", json={**body, "stream": True}, headers=headers)
    await served.client.post("/v1/completions", json={**body, "n": 0}, headers=headers)
    await served.client.get("/health/ready")
    whole, streamed, refused = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    for line, stream in ((whole, False), (streamed, True)):
        assert line["event"] == "request"
        assert (line["request_id"], line["key"], line["user"]) == ("abc", "alice", "u1")
        assert (line["model"], line["stream"], line["status"]) == (MODEL, stream, 200)
        assert (line["prompt_tokens"], line["completion_tokens"], line["finish"]) == (2, 1, "length")
        assert {"queue_ms", "compute_ms", "total_ms"} <= set(line)
    assert refused["status"] == 400
    assert "minimum" in refused["error"]
