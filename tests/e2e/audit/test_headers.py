"""Headers that users and browsers rely on, and requests in the forms that clients send them."""

from __future__ import annotations

import http.client
import json
import socket

import pytest

from .tier import MODEL, Tier, body

JSON = {"Content-Type": "application/json"}
REQUESTS = [
    ("GET", "/v1/models", None),
    ("GET", f"/v1/models/{MODEL}", None),
    ("GET", "/v1/models/none", None),
    ("POST", "/v1/completions", body()),
    ("POST", "/v1/completions", body(stream=True)),
    ("POST", "/v1/completions", body(n=0)),
    ("POST", "/v1/completions", body(model="none")),
    ("GET", "/v1/nothing", None),
    ("GET", "/v1/completions", None),
]


def ask(tier: Tier, method: str, path: str, value: object, headers: dict[str, str] | None = None):
    content = None if value is None else json.dumps(value).encode()
    return tier.send(method, path, content, JSON | (headers or {}))


@pytest.mark.parametrize(("method", "path", "value"), REQUESTS, ids=lambda value: str(value)[:60])
class TestEveryAnswer:
    def test_has_an_id_of_its_own(self, tier: Tier, method: str, path: str, value: object):
        ids = [ask(tier, method, path, value).headers.get_all("x-request-id") for _ in range(2)]
        assert all(found is not None and len(found) == 1 for found in ids)
        assert ids[0] != ids[1]

    def test_gives_back_the_clients_id(self, tier: Tier, method: str, path: str, value: object):
        answer = ask(tier, method, path, value, {"X-Request-ID": "mine-0123_4.5"})
        assert answer.headers.get_all("x-request-id") == ["mine-0123_4.5"]

    def test_says_how_long_it_took_and_the_apis_version(
        self, tier: Tier, method: str, path: str, value: object
    ):
        answer = ask(tier, method, path, value)
        (milliseconds,) = answer.headers.get_all("openai-processing-ms") or [""]
        assert milliseconds.isdecimal()
        assert answer.headers.get_all("openai-version") == ["2020-10-01"]

    def test_may_be_read_by_a_page_of_another_origin(self, tier: Tier, method: str, path: str, value: object):
        answer = ask(tier, method, path, value, {"Origin": "https://lab.example.org"})
        allowed = answer.headers.get_all("access-control-allow-origin")
        assert allowed in (["*"], ["https://lab.example.org"])
        exposed = answer.headers["access-control-expose-headers"].lower()
        assert "x-request-id" in [name.strip() for name in exposed.split(",")]


@pytest.mark.parametrize(
    "given", ["", " ", "a" * 600, "with space", "semi;colon", "é", '"quoted"'], ids=ascii
)
def test_an_id_that_could_harm_a_log_is_replaced_or_given_back_whole(tier: Tier, given: str):
    answer = ask(tier, "GET", "/v1/models", None, {"X-Request-ID": given})
    assert answer.status == 200
    (found,) = answer.headers.get_all("x-request-id") or [""]
    assert found
    assert len(found) <= 600


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/completions"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", f"/v1/models/{MODEL}"),
        ("GET", "/v1/models/openaisle%2Ftiny-opt"),
    ],
)
def test_a_preflight_needs_no_key_and_names_authorization(tier: Tier, method: str, path: str):
    headers = {
        "Authorization": "",
        "Origin": "https://lab.example.org",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
    }
    answer = tier.send("OPTIONS", path, headers=headers)
    assert answer.status == 204
    assert answer.body == b""
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "x-stainless-os"} <= allowed
    methods = {name.strip() for name in answer.headers["access-control-allow-methods"].split(",")}
    assert {method, "OPTIONS"} <= methods
    assert answer.headers.get_all("access-control-allow-origin") in (["*"], ["https://lab.example.org"])


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1/completions", {"POST", "OPTIONS"}), ("/v1/models", {"GET", "HEAD", "OPTIONS"})],
)
def test_options_tells_the_methods_of_a_route(tier: Tier, path: str, methods: set[str]):
    answer = tier.send("OPTIONS", path)
    assert (answer.status, answer.body) == (204, b"")
    assert {name.strip() for name in answer.headers["allow"].split(",")} == methods


@pytest.mark.parametrize("path", ["/v1/models", f"/v1/models/{MODEL}", "/v1/models/none"])
def test_head_is_get_without_the_body(tier: Tier, path: str):
    got, head = tier.send("GET", path), tier.send("HEAD", path)
    assert head.status == got.status
    assert head.body == b""
    for name in ("content-type", "content-length"):
        assert head.headers[name] == got.headers[name]


# Forms of a request


def raw(tier: Tier, *parts: bytes) -> http.client.HTTPResponse:
    """Send bytes, and read the answer that comes."""
    host, _, port = tier.host.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    for part in parts:
        connection.sendall(part)
    response = http.client.HTTPResponse(connection)
    response.begin()
    connection.close()
    return response


def head(tier: Tier, *lines: str) -> bytes:
    names = [f"{name}: {value}" for name, value in (tier.authorization | JSON).items()]
    return "\r\n".join(
        ["POST /v1/completions HTTP/1.1", f"Host: {tier.host}", *names, *lines, "", ""]
    ).encode()


def test_a_body_may_come_in_chunks(tier: Tier):
    content = json.dumps(body()).encode()
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(content[i : i + 7]), content[i : i + 7]) for i in range(0, len(content), 7)
    )
    response = raw(tier, head(tier, "Transfer-Encoding: chunked"), chunks, b"0\r\n\r\n")
    assert response.status == 200
    assert json.loads(response.read())["choices"]


def test_a_client_may_wait_for_100_continue(tier: Tier):
    content = json.dumps(body()).encode()
    host, _, port = tier.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head(tier, f"Content-Length: {len(content)}", "Expect: 100-continue"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(content)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 200
        response.read()


def test_two_requests_may_be_sent_before_the_first_answer(tier: Tier):
    content = json.dumps(body()).encode()
    one = head(tier, f"Content-Length: {len(content)}") + content
    host, _, port = tier.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(one + one)
        with connection.makefile("rb") as stream:
            for _ in range(2):
                assert b" 200 " in stream.readline()
                headers = http.client.parse_headers(stream)
                assert json.loads(stream.read(int(headers["content-length"])))["choices"]


def test_langchains_arguments_are_taken(tier: Tier):
    answer = tier.post(
        {
            "model": MODEL,
            "prompt": ["The fox", "The king"],
            "temperature": 0.7,
            "max_tokens": 256,
            "top_p": 1,
            "frequency_penalty": 0,
            "presence_penalty": 0,
            "n": 1,
            "logit_bias": {},
            "stop": ["\n"],
        }
    )
    assert answer.status == 200


def test_a_query_string_does_no_harm(tier: Tier):
    assert tier.post(body(), "/v1/completions?api-version=2024-02-01").status == 200
    assert tier.send("GET", "/v1/models?limit=5&%ff=%00").status == 200


def test_compression_is_not_forced_on_a_stream(tier: Tier):
    answer = tier.post(body(stream=True), headers={"Accept-Encoding": "gzip, deflate, br"})
    assert answer.headers["content-encoding"] is None
    assert answer.chunks()
