"""The same request gets the same answer at the model server and through the adapter."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from .conftest import KEY, MODEL

JSON = {"content-type": "application/json"}


def body(**fields: object) -> bytes:
    return json.dumps(
        {"model": MODEL, "prompt": "Once", "max_tokens": 4, "temperature": 0, **fields}
    ).encode()


def both(
    stack, method: str, path: str, content: bytes | None, headers: dict[str, str]
) -> list[httpx.Response]:
    """The answers of the model server and of the adapter."""
    return [
        httpx.request(method, f"{url}{path}", content=content, headers=headers, auth=("", KEY), timeout=60)
        for url in (stack.opt.url, stack.adapter.url)
    ]


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b"{{"),
        (400, b""),
        (400, b"[1]"),
        (400, b"null"),
        (400, b"\xff\xfe{"),
        (400, b"[" * 100_000),
        (400, b'{"a":' * 100_000),
        (400, b"{}"),
        (400, b'{"model": null}'),
        (400, b'{"model": 3}'),
        (404, b'{"model": ""}'),
        (404, b'{"model": "no/such"}'),
        (404, b'{"model": "\\ud800"}'),
        (413, b"x" * 5_000_000),
        (400, body(temperature=9)),
        (400, body(prompt={})),
        (400, body(max_tokens=100_000)),
        (400, body(max_tokens=0)),
        (400, body(stream=True, n=-1)),
        (400, body(suffix="x")),
        (400, body(temperature=float("nan"))),
    ],
)
def test_mistake_in_the_body_gets_the_same_error(stack, status, content):
    direct, relayed = both(stack, "POST", "/v1/completions", content, JSON)
    assert (relayed.status_code, relayed.content) == (direct.status_code, direct.content)
    assert relayed.status_code == status
    assert sorted(relayed.json()["error"]) == ["code", "message", "param", "type"]


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml"])
def test_wrong_content_type_gets_the_same_error(stack, content_type):
    direct, relayed = both(stack, "POST", "/v1/completions", body(), {"content-type": content_type})
    assert (relayed.status_code, relayed.content) == (direct.status_code, direct.content)
    assert relayed.status_code == 415


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/completions"),
        ("POST", "/v1/models"),
        ("GET", "/v1/models/no/such"),
        ("DELETE", f"/v1/models/{MODEL}"),
    ],
)
def test_wrong_method_or_model_gets_the_same_error(stack, method, path):
    direct, relayed = both(stack, method, path, None, {})
    assert (relayed.status_code, relayed.content) == (direct.status_code, direct.content)
    assert relayed.headers.get("allow") == direct.headers.get("allow")


@pytest.mark.parametrize(
    "path", ["/v1/models", f"/v1/models/{MODEL}", "/v1/models/openaisle%2Ftiny-opt", "/tokenizer_info"]
)
def test_what_is_told_of_a_model_is_the_same(stack, path):
    direct, relayed = both(stack, "GET", path, None, {})
    assert (relayed.status_code, relayed.content) == (200, direct.content)


@pytest.mark.parametrize("fields", [{}, {"echo": True, "logprobs": 2}, {"n": 2, "stop": [" a"]}])
def test_completion_is_the_same_but_for_its_id_and_time(stack, fields):
    direct, relayed = (
        re.sub(rb'"id":"[^"]*"|"created":\d+', b"", answer.content)
        for answer in both(stack, "POST", "/v1/completions", body(**fields), JSON)
    )
    assert relayed == direct


def test_request_id_is_the_same_in_both_logs(stack):
    headers = {**JSON, "x-request-id": "same-everywhere-1"}
    relayed = httpx.post(
        f"{stack.adapter.url}/v1/completions", content=body(), headers=headers, auth=("", KEY)
    )
    assert relayed.headers["x-request-id"] == "same-everywhere-1"
    deadline = time.monotonic() + 10  # the line is written when the answer has been sent
    for server in (stack.opt, stack.adapter):
        while '"same-everywhere-1"' not in server.log.read_text():
            assert time.monotonic() < deadline, server.log
            time.sleep(0.02)
