"""Mistakes that have nothing to do with a parameter: bodies, types, methods, routes and keys."""

from __future__ import annotations

import json

import pytest

from .tier import MODEL, Tier, basic, body

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"[]",
        b"[1]",
        b'"text"',
        b"3",
        b"null",
        b"true",
        b"\xff\xfe",
        b'{"model": "\xff"}',
        b'{"model": "openaisle/tiny-opt",}',
        b"{'model': 'openaisle/tiny-opt'}",
        b'{"model": "openaisle/tiny-opt"} x',
        b"[" * 5000,
        b'{"a":' * 5000,
        json.dumps(body()).encode("utf-16"),
        b"model=openaisle/tiny-opt&prompt=a",
        json.dumps(body(seed="HERE")).replace('"HERE"', 5000 * "9").encode(),
        json.dumps(body())[:-1].encode() + b', "max_tokens": 3}',
        json.dumps(body(logit_bias="HERE")).replace('"HERE"', '{"5": 1, "5": 2}').encode(),
    ],
    ids=lambda content: ascii(content[:40]),
)
def test_a_body_that_is_no_json_object_is_refused(tier: Tier, content: bytes):
    error = tier.send("POST", "/v1/completions", content, JSON).error(400)
    assert error["type"] == "invalid_request_error"
    assert "sys." not in error["message"]


def test_a_byte_order_mark_is_passed_over(tier: Tier):
    content = json.dumps(body()).encode("utf-8-sig")
    assert tier.send("POST", "/v1/completions", content, JSON).status == 200


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        ({"prompt": "a"}, 400, None),
        ({"model": None, "prompt": "a"}, 400, None),
        ({"model": 3, "prompt": "a"}, 400, None),
        ({"model": [], "prompt": "a"}, 400, None),
        ({"model": {}, "prompt": "a"}, 400, None),
        ({"model": True, "prompt": "a"}, 400, None),
        ({"model": "none", "prompt": "a"}, 404, "model_not_found"),
        ({"model": "", "prompt": "a"}, 404, "model_not_found"),
        ({"model": MODEL.upper(), "prompt": "a"}, 404, "model_not_found"),
        ({"model": f" {MODEL}", "prompt": "a"}, 404, "model_not_found"),
        ({"model": "text-davinci-003", "prompt": "a", "stream": True}, 404, "model_not_found"),
        ({"model": "\u0000\u202e🙂", "prompt": "a"}, 404, "model_not_found"),
        ({"model": "x" * 100_000, "prompt": "a"}, 404, "model_not_found"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_request_names_a_model_that_is_there(tier: Tier, value: object, status: int, code: str | None):
    error = tier.post(value).error(status)
    assert error["param"] == "model"
    assert error["code"] == code


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/jsonx", "nonsense"],
)
def test_another_content_type_is_refused(tier: Tier, kind: str):
    error = tier.post(body(), headers={"Content-Type": kind}).error(415)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/json;charset=UTF-8",
        "application/x-www-form-urlencoded",
    ],
)
def test_the_types_that_clients_send_are_taken(tier: Tier, kind: str):
    assert tier.post(body(), headers={"Content-Type": kind}).status == 200


def test_a_body_of_no_declared_type_is_taken(tier: Tier):
    assert tier.send("POST", "/v1/completions", json.dumps(body()).encode()).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/completions", "POST"),
        ("PUT", "/v1/completions", "POST"),
        ("DELETE", "/v1/completions", "POST"),
        ("PATCH", "/v1/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", f"/v1/models/{MODEL}", "GET"),
        ("DELETE", f"/v1/models/{MODEL}", "GET"),
        ("GET", f"/v1/engines/{MODEL}/completions", "POST"),
    ],
)
def test_another_method_is_refused_and_the_right_one_named(tier: Tier, method: str, path: str, allowed: str):
    answer = tier.send(method, path)
    assert answer.error(405)["type"] == "invalid_request_error"
    assert allowed in answer.headers["allow"].replace(" ", "").split(",")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("POST", "/v1/completion"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/completions/x"),
        ("GET", "/v1/files"),
        ("POST", "/v1/images/generations"),
        ("POST", "/v1//completions"),
    ],
)
def test_an_unknown_route_is_not_found(tier: Tier, method: str, path: str):
    error = tier.send(method, path, b"{}" if method == "POST" else None, JSON).error(404)
    assert error["type"] == "invalid_request_error"
    assert path in error["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/completions"),
        ("POST", "/completions/"),
        ("POST", "/chat/completions"),
        ("GET", "/models"),
        ("GET", f"/models/{MODEL}"),
        ("POST", f"/engines/{MODEL}/completions"),
    ],
)
def test_a_base_url_without_v1_is_corrected(tier: Tier, method: str, path: str):
    error = tier.send(method, path, b"{}" if method == "POST" else None, JSON).error(404)
    assert f"ask for /v1{path}" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/V1/models", 404),
        ("GET", "/nothing/here", 404),
        ("POST", "/nothing/here", 404),
        ("GET", "/v1/models/..%2f..%2fetc", 404),
        ("GET", "/..%2f..%2fetc%2fpasswd", (400, 404)),
        ("PUT", "/", (404, 405)),
        ("DELETE", "/", (404, 405)),
    ],
)
def test_whatever_is_asked_for_the_refusal_has_the_same_form(
    tier: Tier, method: str, path: str, status: int | tuple[int, ...]
):
    answer = tier.send(method, path)
    assert answer.status in (status if isinstance(status, tuple) else (status,))
    assert answer.error(answer.status)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("line", "headers", "content", "status"),
    [
        ("POST /v1/completions HTTP/1.1", "Transfer-Encoding: chunked", b"zz\r\n{}", 400),
        ("POST /v1/completions HTTP/1.1", "Transfer-Encoding: chunked", b"-5\r\n{}", 400),
        ("POST /v1/completions HTTP/1.1", "Transfer-Encoding: gzip, chunked", b"2\r\n{}\r\n0\r\n\r\n", 400),
        ("POST /v1/completions HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 2", b"{}", 400),
        ("POST /v1/completions HTTP/1.1", "Content-Length: -5", b"{}", 400),
        ("POST /v1/completions HTTP/1.1", "Content-Length: 2\r\nContent-Length: 3", b"{}", 400),
        ("GET /v1/models HTTP/2.0", "X: y", b"", 400),
        ("GET /v1/models?" + 70_000 * "a" + " HTTP/1.1", "X: y", b"", 431),
        ("GET /v1/models HTTP/1.1", "X: " + 100_000 * "y", b"", 431),
        ("GET /v1/models HTTP/1.1", "X: y\r\n folded", b"", 400),
        ("CONNECT example.com:443 HTTP/1.1", "X: y", b"", 400),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_http_is_refused_in_the_same_form(
    tier: Tier, line: str, headers: str, content: bytes, status: int
):
    key = "".join(f"{name}: {value}\r\n" for name, value in tier.authorization.items())
    answer = tier.write(f"{line}\r\nHost: {tier.host}\r\n{key}{headers}\r\n\r\n".encode() + content)
    assert answer.error(status)["type"] == "invalid_request_error"


def test_a_body_over_the_limit_is_refused(tier: Tier):
    error = tier.send("POST", "/v1/completions", b" " * (4 * 1024 * 1024 + 1), JSON).error(413)
    assert error["type"] == "invalid_request_error"
    assert str(4 * 1024 * 1024) in error["message"]


def test_a_body_at_the_limit_is_read(tier: Tier):
    content = json.dumps(body()).encode()
    content += b" " * (4 * 1024 * 1024 - len(content))
    assert tier.send("POST", "/v1/completions", content, JSON).status == 200


def test_a_model_that_only_continues_says_so_to_who_wants_to_chat(tier: Tier):
    value = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    error = tier.post(value, "/v1/chat/completions").error(404)
    assert "/v1/completions" in error["message"]


# Keys


@pytest.mark.parametrize("path", ["/v1/models", f"/v1/models/{MODEL}"])
def test_without_a_key_nothing_is_told(locked: Tier, path: str):
    answer = locked.send("GET", path, headers={"Authorization": ""})
    error = answer.error(401)
    assert error["type"] == "invalid_request_error"
    assert error["code"] is None
    assert "basic" not in answer.headers["www-authenticate"].lower()


@pytest.mark.parametrize(
    "content", [b"{", json.dumps(body()).encode(), json.dumps(body(model="none")).encode()]
)
def test_the_key_is_asked_for_before_anything_else(locked: Tier, content: bytes):
    locked.send("POST", "/v1/completions", content, JSON | {"Authorization": ""}).error(401)


def test_a_wrong_key_is_shown_masked(locked: Tier):
    key = "sk-abcdefghijklmnopqrstuvwxyz"
    error = locked.send("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"}).error(401)
    assert error["code"] == "invalid_api_key"
    assert error["message"].startswith("Incorrect API key provided: sk-ab")
    assert key not in error["message"]
    assert "***" in error["message"]


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !",
        "Basic bm9jb2xvbg==",
        "Digest x",
        "nonsense",
        "Bearer é",
        "Bearer a b",
    ],
    ids=ascii,
)
def test_a_header_that_is_no_key_is_refused(locked: Tier, value: str):
    answer = locked.send("GET", "/v1/models", headers={"Authorization": value})
    assert answer.error(401)["type"] == "invalid_request_error"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_schemes_case_does_not_matter(locked: Tier, scheme: str):
    assert locked.send("GET", "/v1/models", headers={"Authorization": f"{scheme} {locked.key}"}).status == 200


def test_the_key_as_the_password_of_an_empty_user(locked: Tier):
    assert locked.key
    assert locked.send("GET", "/v1/models", headers=basic("", locked.key)).status == 200
    lower = {"Authorization": basic("", locked.key)["Authorization"].replace("Basic", "basic")}
    assert locked.send("GET", "/v1/models", headers=lower).status == 200
    locked.send("GET", "/v1/models", headers=basic("", "sk-wrong")).error(401)
    locked.send("GET", "/v1/models", headers=basic("someone", locked.key)).error(401)
    locked.send("GET", "/v1/models", headers=basic("", "")).error(401)


def test_the_key_is_never_given_back(locked: Tier):
    assert locked.key
    for answer in (locked.send("GET", "/v1/models"), locked.post(body()), locked.post(body(n=0))):
        assert locked.key not in answer.body.decode() + str(answer.headers)
