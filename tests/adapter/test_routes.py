"""The routes that the adapter answers itself, and its answers to mistakes."""

from __future__ import annotations

import asyncio
import json

import pytest
from adapter.conftest import KEY
from adapter.fake_engine import fake_engine
from openaisle_adapter.settings import StaticBackend


def assert_openai_error(response, status: int, code: str | None = None, param: str | None = None) -> str:
    """The error's message, after a look at everything else in it."""
    error = response.json()["error"]
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert sorted(error) == ["code", "message", "param", "type"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert response.headers["x-request-id"]
    return error["message"]


async def test_models_of_all_backends_are_listed_once(adapter):
    async with (
        fake_engine("org/one") as one,
        fake_engine("org/two") as two,
        fake_engine("org/two") as other,
        adapter(
            StaticBackend(one.url, "org/one"),
            StaticBackend(two.url, "org/two"),
            StaticBackend(other.url, "org/two"),
        ) as client,
    ):
        answer = (await client.get("/v1/models")).json()
    assert answer["object"] == "list"
    assert [model["id"] for model in answer["data"]] == ["org/one", "org/two"]
    assert all(model["object"] == "model" for model in answer["data"])


async def test_request_goes_to_a_backend_of_its_model(adapter):
    async with (
        fake_engine("org/one") as one,
        fake_engine("org/two") as two,
        adapter(StaticBackend(one.url, "org/one"), StaticBackend(two.url, "org/two")) as client,
    ):
        await client.post("/v1/completions", json={"model": "org/two"})
    assert (len(one.bodies), len(two.bodies)) == (0, 1)


@pytest.mark.parametrize("slash", ["/", "%2F", "%2f"])
async def test_model_is_retrieved_with_either_slash(adapter, slash):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.get(f"/v1/models/fake{slash}model")
    assert (response.status_code, response.json()["id"]) == (200, "fake/model")


async def test_model_without_a_ready_replica_is_listed(adapter, free_port):
    async with adapter(f"http://127.0.0.1:{free_port()}") as client:
        models = (await client.get("/v1/models")).json()["data"]
        one = (await client.get("/v1/models/fake/model")).json()
    assert models == [one]
    assert (one["id"], one["object"]) == ("fake/model", "model")
    assert isinstance(one["created"], int)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/fake/model", "/health/live", "/"])
async def test_head_is_get_without_the_body(adapter, path):
    async with fake_engine() as engine, adapter(engine.url) as client:
        get, head = await client.get(path), await client.head(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    for name in ("content-length", "content-type"):
        assert head.headers[name] == get.headers[name]


async def test_unknown_model_is_not_found(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        for response in (
            await client.get("/v1/models/no/such"),
            await client.post("/v1/completions", json={"model": "no/such"}),
            await client.post("/v1/engines/no/such/completions", json={}),
        ):
            message = assert_openai_error(response, 404, "model_not_found", "model")
            assert message == "The model `no/such` does not exist or you do not have access to it."
    assert engine.bodies == []


@pytest.mark.parametrize("fields", [{}, {"model": None}, {"model": 3}, {"model": True}, {"model": ["x"]}])
async def test_model_that_is_no_name_is_refused(adapter, fields):
    async with fake_engine() as engine, adapter(engine.url) as client:
        assert_openai_error(await client.post("/v1/completions", json=fields), 400, None, "model")


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [
        ("POST", "/chat/completions", "/v1/chat/completions"),
        ("POST", "/completions", "/v1/completions"),
        ("GET", "/models", "/v1/models"),
        ("GET", "/v1/v1/models", "/v1 is there twice"),
        ("POST", "/v1/completions/completions", "base URL ends with /v1"),
        ("POST", "/v1/embeddings", "/v1/completions"),
        ("GET", "/nowhere", "/docs/"),
        ("GET", "/%00%ff", "/docs/"),
    ],
)
async def test_unknown_route_says_what_was_probably_meant(adapter, method, path, hint):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.request(method, path, json={} if method == "POST" else None)
    message = assert_openai_error(response, 404, "unknown_url")
    assert message.startswith(f"Invalid URL ({method} {path}).")
    assert hint in message


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/completions/"])
async def test_slash_too_many_does_no_harm(adapter, path):
    async with fake_engine() as engine, adapter(engine.url) as client:
        method = "GET" if "models" in path else "POST"
        response = await client.request(method, path, json={"model": "fake/model"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/completions", "OPTIONS, POST"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/models/fake/model", "GET, HEAD, OPTIONS"),
        ("PUT", "/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_method_is_answered_with_the_right_ones(adapter, method, path, allowed):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.request(method, path)
    assert_openai_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allowed


async def test_body_over_the_limit_is_refused(adapter):
    async def in_chunks():
        for _ in range(64):
            yield bytes(1024)

    async with fake_engine() as engine, adapter(engine.url, max_body_bytes=10_000) as client:
        for content in (bytes(10_001), bytes(1_000_000), in_chunks()):
            response = await client.post("/v1/completions", content=content)
            assert "10000 bytes" in assert_openai_error(response, 413)
        fitting = json.dumps({"model": "fake/model", "prompt": "x" * 9_000})
        assert (await client.post("/v1/completions", content=fitting)).status_code == 200
    assert len(engine.bodies) == 1


async def exchange(url: str, request: bytes) -> bytes:
    """Send bytes, and read until the server closes or has answered and is silent."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    answer = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), 0.3 if answer else 5):
            answer += chunk
    except asyncio.TimeoutError:
        pass
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET a\nb HTTP/9.9\r\n\r\n", b"400"),
        (b"POST /v1/completions HTTP/1.1\r\nexpect: tea\r\ncontent-length: 1\r\n\r\n", b"417"),
        (b"POST /v1/completions HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n", b"401"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", b"431"),
        (b"POST /v1/completions HTTP/1.1\r\nauthorization: K\r\ncontent-length: x\r\n\r\n", b"400"),
        (
            b"POST /v1/completions HTTP/1.1\r\nauthorization: K\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
            b"400",
        ),
    ],
)
async def test_garbage_instead_of_http_gets_an_error_in_openais_shape(adapter, request_bytes, status):
    async with fake_engine() as engine, adapter(engine.url) as client:
        sent = request_bytes.replace(b": K", f": Bearer {KEY}".encode())
        answer = await exchange(str(client.base_url).rstrip("/"), sent)
        assert (await client.get("/health/live")).status_code == 200
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert sorted(json.loads(body)["error"]) == ["code", "message", "param", "type"]


async def test_large_body_that_waits_for_100_continue_is_refused_before_it_is_sent(adapter):
    head = (
        f"POST /v1/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n"
        "content-length: 9999999\r\nexpect: 100-continue\r\n\r\n"
    )
    async with fake_engine() as engine, adapter(engine.url) as client:
        answer = await exchange(str(client.base_url).rstrip("/"), head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_body_that_waits_for_100_continue_is_asked_for_and_answered(adapter):
    body = b'{"model": "fake/model"}'
    head = (
        f"POST /v1/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n"
        f"content-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n"
    )
    async with fake_engine() as engine, adapter(engine.url) as client:
        answer = await exchange(str(client.base_url).rstrip("/"), head.encode() + body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


async def test_two_requests_in_one_go_get_two_answers(adapter):
    request = f"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()
    async with fake_engine() as engine, adapter(engine.url) as client:
        answer = await exchange(str(client.base_url).rstrip("/"), request * 2)
    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def test_browser_may_ask_first_without_a_key(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        client.headers.pop("authorization")
        response = await client.options(
            "/v1/completions",
            headers={
                "origin": "https://page.example",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type,x-stainless-os,bad\\name",
            },
        )
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == "*"
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == (
        "authorization, content-type, x-request-id, x-stainless-os"
    )


async def test_browser_may_read_answers_and_their_headers(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        for response in (
            await client.get("/v1/models"),
            await client.post("/v1/completions", json={"model": "fake/model"}),
            await client.post("/v1/completions", json={"model": "no"}),
            await client.get("/v1/models", headers={"authorization": "Bearer no"}),
        ):
            assert response.headers["access-control-allow-origin"] == "*"
            exposed = response.headers["access-control-expose-headers"]
            assert {"x-request-id", "openai-processing-ms", "retry-after"} <= set(exposed.split(", "))


async def test_only_named_origins_may_read_where_some_are_named(adapter):
    async with (
        fake_engine() as engine,
        adapter(engine.url, cors_origins=("https://ours.example",)) as client,
    ):
        ours = await client.get("/v1/models", headers={"origin": "https://ours.example"})
        theirs = await client.get("/v1/models", headers={"origin": "https://theirs.example"})
    assert ours.headers["access-control-allow-origin"] == "https://ours.example"
    assert ours.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in theirs.headers


async def test_root_shows_the_way_where_there_is_no_page(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        links = (await client.get("/")).json()
    assert links["completions"] == "v1/completions"


async def test_page_is_served_with_its_types_and_a_strict_policy(adapter, tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "js").mkdir()
    (tmp_path / "js/app.js").write_text("1")
    (tmp_path / ".secret").write_text("no")
    async with fake_engine() as engine, adapter(engine.url, page_dir=tmp_path) as client:
        page, script = await client.get("/"), await client.get("/js/app.js")
        again = await client.get("/", headers={"if-none-match": page.headers["etag"]})
        assert (await client.get("/config.json")).json() == {}
        for path in ("/.secret", "/../conftest.py", "/%2e%2e/conftest.py", "/js"):
            assert (await client.get(path)).status_code == 404
    assert (page.text, page.headers["content-type"]) == ("<!doctype html>", "text/html; charset=utf-8")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (again.status_code, again.content) == (304, b"")


async def test_metrics_count_requests_by_model_and_status(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        await client.post("/v1/completions", json={"model": "fake/model"})
        await client.post("/v1/completions", json={"model": "made/up"})
        page = (await client.get("/metrics")).text
    assert 'openaisle_adapter_requests_total{code="200",model="fake/model"} 1.0' in page
    assert 'openaisle_adapter_requests_total{code="404",model=""} 1.0' in page
    assert 'openaisle_adapter_key_requests_total{key="api-key",model="fake/model"} 1.0' in page
    assert f'openaisle_adapter_backend_up{{backend="{engine.url}"}} 1.0' in page
    assert 'openaisle_adapter_request_seconds_count{model="fake/model"} 1.0' in page
    assert "openaisle_adapter_requests_in_flight 0.0" in page


async def test_documentation_is_served_without_a_key(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        client.headers.pop("authorization")
        without_slash = await client.get("/docs")
        page, document = await client.get("/docs/"), await client.get("/openapi.json")
    assert (without_slash.status_code, without_slash.headers["location"]) == (308, "docs/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert document.json()["openapi"].startswith("3.1")
