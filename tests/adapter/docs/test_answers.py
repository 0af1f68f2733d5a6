"""Real answers of the adapter and of the model server beside what the document says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from aiohttp import web
from jsonschema import Draft202012Validator
from openaisle_adapter.docs import openapi_document

from tests.adapter.fake_engine import fake_engine

Adapter = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
DOCUMENT: dict[str, Any] = json.loads(openapi_document())
BODY = {"model": "fake/model", "prompt": "Once", "max_tokens": 4}


def check(path: str, response: httpx.Response) -> None:
    """The answer's status, headers and body are what the document says of them.

    Args:
        path: the path as the document writes it.
    """
    operation = DOCUMENT["paths"][path][response.request.method.lower().replace("head", "get")]
    described = _resolve(operation["responses"][str(response.status_code)])
    for name, header in described.get("headers", {}).items():
        if name in response.headers:
            _validate(_resolve(header)["schema"], response.headers[name])
    if response.status_code >= 400 and path.startswith("/v1"):
        assert response.headers["x-request-id"]
    kind = response.headers["content-type"].split(";")[0]
    schema = described["content"][kind]["schema"]
    _validate(schema, response.text if kind.startswith("text/") else response.json())


def _validate(schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def _resolve(part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    _, _, section, name = part["$ref"].split("/")
    resolved: dict[str, Any] = DOCUMENT["components"][section][name]
    return resolved


async def test_models(adapter: Adapter) -> None:
    async with fake_engine() as engine, adapter(engine.url) as client:
        check("/v1/models", await client.get("/v1/models"))
        check("/v1/models/{model}", await client.get("/v1/models/fake/model"))
        check("/v1/models/{model}", await client.get("/v1/models/fake%2Fmodel"))
        check("/v1/models/{model}", await client.get("/v1/models/other"))


async def test_health(adapter: Adapter) -> None:
    async with fake_engine() as engine, adapter(engine.url) as client:
        check("/health/live", await client.get("/health/live"))
        check("/health/ready", await client.get("/health/ready"))


async def test_an_adapter_that_knows_no_model_yet_says_so(adapter: Adapter) -> None:
    async with adapter("http://127.0.0.1:9") as client:
        check("/health/ready", await client.get("/health/ready"))


@pytest.mark.parametrize("authorization", ["", "Bearer sk-wrong", "Basic OnNrLXdyb25n"])
async def test_a_missing_or_wrong_key(adapter: Adapter, authorization: str) -> None:
    async with fake_engine() as engine, adapter(engine.url) as client:
        headers = {"authorization": authorization}
        for path in ("/v1/models", "/v1/completions"):
            method = "GET" if path == "/v1/models" else "POST"
            response = await client.request(
                method, path, headers=headers, json=BODY if method == "POST" else None
            )
            assert response.status_code == 401
            check(path, response)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"prompt": "Once"}', 400),
        (b'{"model": 1}', 400),
        (b'{"model": "other"}', 404),
        (b"x" * 5_000_000, 413),
    ],
)
async def test_requests_that_the_adapter_refuses(adapter: Adapter, content: bytes, status: int) -> None:
    async with fake_engine() as engine, adapter(engine.url) as client:
        headers = {"content-type": "application/json"}
        response = await client.post("/v1/completions", content=content, headers=headers)
        assert response.status_code == status
        check("/v1/completions", response)


async def test_a_method_that_does_not_fit(adapter: Adapter) -> None:
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.get("/v1/completions")
        assert response.status_code == 405
        response.request.method = "POST"  # the document describes the 405 with the route's own method
        check("/v1/completions", response)


async def test_no_ready_replica(adapter: Adapter) -> None:
    async with adapter("http://127.0.0.1:9") as client:
        response = await client.post("/v1/completions", json=BODY)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        check("/v1/completions", response)


async def test_a_model_server_that_breaks_off(adapter: Adapter) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    async with fake_engine(handler=hang_up) as engine, adapter(engine.url) as client:
        response = await client.post("/v1/completions", json=BODY)
        assert response.status_code in (502, 503)
        check("/v1/completions", response)


async def test_a_model_server_that_is_silent(adapter: Adapter) -> None:
    import asyncio

    async def sleep(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with fake_engine(handler=sleep) as engine, adapter(engine.url, timeout_s=0.3) as client:
        response = await client.post("/v1/completions", json=BODY)
        assert response.status_code == 504
        check("/v1/completions", response)


async def test_the_documentation_needs_no_key(adapter: Adapter) -> None:
    async with fake_engine() as engine, adapter(engine.url) as client:
        bare = {"authorization": ""}
        assert (await client.get("/openapi.json", headers=bare)).json() == DOCUMENT
        page = await client.get("/docs/", headers=bare)
        assert page.status_code == 200
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        redirect = await client.get("/docs", headers=bare)
        assert (redirect.status_code, redirect.headers["location"]) == (308, "docs/")
