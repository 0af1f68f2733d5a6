"""nginx between a client and the adapter: what passes untouched, and what it says itself."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from fake_adapter import KEY, FakeAdapter

ENTRYPOINT = pathlib.Path(__file__).parents[2] / "images" / "demo" / "entrypoint.sh"


class Answer:
    """A whole answer: status, headers in lower case, body."""

    def __init__(self, url: str, method: str, path: str, body: bytes | None, headers: dict[str, str]):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        connection.close()


def ask(url: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """Sends the path as it is written, without normalising it."""
    return Answer(url, method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("path", ["/v1/models/facebook%2Fopt-125m", "/v1/models/facebook/opt-125m?a=%2F%20b"])
def test_the_address_reaches_the_adapter_as_the_client_wrote_it(
    demo_url: str, adapter: Any, path: str
) -> None:
    assert ask(demo_url, path).status == 200
    assert adapter.paths == [path]


def test_a_stream_passes_chunk_by_chunk(demo_url: str, adapter: Any) -> None:
    adapter.behaviour.gate = threading.Event()
    connection = http.client.HTTPConnection(urlsplit(demo_url).netloc, timeout=20)
    body = json.dumps({"model": "openaisle/tiny-opt", "prompt": "Once", "max_tokens": 3, "stream": True})
    connection.request("POST", "/v1/completions", body, {"Authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-accel-buffering"] == "no"
    assert b" she" in response.readline()  # the rest is still held back
    adapter.behaviour.gate.set()
    assert response.read().endswith(b"data: [DONE]\n\n")
    connection.close()


def test_a_client_that_leaves_is_gone_for_the_adapter_too(demo_url: str, adapter: Any) -> None:
    adapter.behaviour.delay_s = 0.05
    connection = http.client.HTTPConnection(urlsplit(demo_url).netloc, timeout=20)
    body = json.dumps({"model": "m", "prompt": "Once", "max_tokens": 500, "stream": True})
    connection.request("POST", "/v1/completions", body, {"Authorization": f"Bearer {KEY}"})
    connection.getresponse().readline()
    connection.close()
    assert adapter.gone.wait(10)


def test_the_adapters_own_answer_to_a_large_body_is_what_a_client_sees(demo_url: str, adapter: Any) -> None:
    body = json.dumps({"model": "m", "prompt": "x" * 2_000_000}).encode()
    answer = ask(demo_url, "/v1/completions", "POST", body, Authorization=f"Bearer {KEY}")
    assert answer.status == 413
    assert "1048576" in json.loads(answer.body)["error"]["message"]


def test_a_body_beyond_nginxs_own_limit_has_the_same_shape(demo_url: str, adapter: Any) -> None:
    answer = ask(demo_url, "/v1/completions", "POST", b"", Content_Length=str(65 * 2**20))
    assert answer.status == 413
    assert set(json.loads(answer.body)["error"]) == {"message", "type", "param", "code"}


def test_an_adapter_that_is_gone_gives_503_and_is_found_again(start_demo: Callable[..., str]) -> None:
    first = FakeAdapter().start()
    url = start_demo(first.url)
    assert ask(url, "/v1/models", Authorization=f"Bearer {KEY}").status == 200
    first.close()
    answer = ask(url, "/v1/models")
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-request-id"]
    error = json.loads(answer.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "server_error"
    second = FakeAdapter().start(int(urlsplit(first.url).port or 0))
    assert ask(url, "/v1/models", Authorization=f"Bearer {KEY}").status == 200
    second.close()


def test_a_host_that_nobody_knows_yet_does_not_keep_nginx_from_starting(
    start_demo: Callable[..., str],
) -> None:
    url = start_demo("http://adapter.invalid:8000", RESOLVER="127.0.0.1:1")
    assert ask(url, "/").status == 200
    assert ask(url, "/v1/models").status == 503


def test_a_name_from_etc_hosts_is_known(adapter: Any, start_demo: Callable[..., str]) -> None:
    port = urlsplit(adapter.url).port
    url = start_demo(f"http://localhost:{port}")
    if b"Incorrect" in ask(url, "/v1/models", Authorization="Bearer wrong").body:
        return
    pytest.fail("localhost was not resolved")


def test_the_page_is_served_with_strict_headers_and_checked_anew_each_time(
    demo_url: str, adapter: Any
) -> None:
    answer = ask(demo_url, "/")
    policy = answer.headers["content-security-policy"]
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert directive in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["server"] == "nginx"
    again = ask(demo_url, "/", If_None_Match=answer.headers["etag"])
    assert again.status == 304


def test_the_page_repeats_its_policy_for_servers_that_send_none(demo_url: str, adapter: Any) -> None:
    answer = ask(demo_url, "/")
    policy = answer.headers["content-security-policy"].replace(" frame-ancestors 'none';", "")
    assert f'content="{policy}"' in answer.body.decode()


def test_the_page_is_small(demo_url: str, adapter: Any) -> None:
    static = ENTRYPOINT.parent / "static"
    total = 0
    for path in static.iterdir():
        answer = ask(demo_url, f"/{path.name}", Accept_Encoding="gzip")
        assert answer.status == 200
        total += len(answer.body)
    assert total <= 60_000


def test_the_documentation_and_the_document_come_from_the_adapter(demo_url: str, adapter: Any) -> None:
    assert ask(demo_url, "/docs/").body == b"<h1>API</h1>"
    assert b"CreateCompletionRequest" in ask(demo_url, "/openapi.json").body
    assert adapter.paths == ["/docs/", "/openapi.json"]


def test_running_streams_end_before_nginx_does(
    adapter: Any, tmp_path: pathlib.Path, start_demo: Callable[..., str]
) -> None:
    adapter.behaviour.gate = threading.Event()
    url = start_demo(adapter.url, TMP_DIR=str(tmp_path))
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    body = json.dumps({"model": "m", "prompt": "Once", "max_tokens": 3, "stream": True})
    connection.request("POST", "/v1/completions", body, {"Authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    response.readline()
    os.kill(int((tmp_path / "nginx.pid").read_text()), 3)  # SIGQUIT, as the image's stop signal
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            ask(url, "/healthz")
        except OSError:
            break
    else:
        pytest.fail("nginx went on accepting connections")
    adapter.behaviour.gate.set()
    assert response.read().endswith(b"data: [DONE]\n\n")
    connection.close()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ADAPTER_URL", "openaisle-adapter:8000", "give a scheme"),
        ("ADAPTER_URL", "http://adapter:8000/v1", "give a scheme"),
        ("PORT", "web", "give a number"),
        ("PAGE_DIR", "/nowhere", "no index.html"),
    ],
)
def test_a_setting_that_cannot_be_is_named_in_a_sentence(
    tmp_path: pathlib.Path, name: str, value: str, words: str
) -> None:
    environment = os.environ | {"TMP_DIR": str(tmp_path), "PORT": "0", name: value}
    result = subprocess.run(
        [ENTRYPOINT], env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert result.returncode == 1
    assert name in result.stderr
    assert words in result.stderr


def test_a_clone_may_lie_in_a_folder_of_any_name(
    adapter: Any, start_demo: Callable[..., str], tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / 'my "$own"; {clone} & it\'s ümläut'
    shutil.copytree(ENTRYPOINT.parent / "static", folder / "page of mine")
    url = start_demo(
        adapter.url, PAGE_DIR=str(folder / "page of mine"), TMP_DIR=str(folder / "not there yet")
    )
    assert b"<title>" in ask(url, "/").body
    # Larger than what nginx keeps in memory.
    assert ask(url, "/v1/completions", "POST", b"{" + 300_000 * b" " + b"}").status == 401


@pytest.fixture(scope="module")
def prefixed_url(adapter_process: Any, start_demo: Callable[..., str]) -> str:
    return start_demo(adapter_process.url, PATH_PREFIX="/ai/openaisle-0.1")


@pytest.mark.parametrize("path", ["/v1/models/facebook%2Fopt-125m", "/v1/models/facebook/opt-125m?a=%2F%20b"])
def test_below_a_prefix_the_adapter_gets_the_rest_of_the_address(
    prefixed_url: str, adapter: Any, path: str
) -> None:
    assert ask(prefixed_url, f"/ai/openaisle-0.1{path}").status == 200
    assert ask(prefixed_url, path).status == 200
    assert adapter.paths == [path, path]


def test_the_page_is_served_below_the_prefix_and_without(prefixed_url: str) -> None:
    page = ask(prefixed_url, "/ai/openaisle-0.1/")
    assert page.status == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.body == ask(prefixed_url, "/").body
    assert ask(prefixed_url, "/ai/openaisle-0.1/app.js").headers["content-type"].startswith("text/javascript")
    assert ask(prefixed_url, "/ai/openaisle-0x1/").status == 404


def test_the_prefix_itself_leads_to_its_page(prefixed_url: str) -> None:
    answer = ask(prefixed_url, "/ai/openaisle-0.1?key=1")
    assert (answer.status, answer.headers["location"]) == (308, "/ai/openaisle-0.1/?key=1")


@pytest.mark.parametrize("prefix", ["openaisle", "/openaisle/", "/a b", "/a;b"])
def test_a_prefix_that_cannot_be_is_named(tmp_path: pathlib.Path, prefix: str) -> None:
    environment = os.environ | {"PATH_PREFIX": prefix, "TMP_DIR": str(tmp_path)}
    result = subprocess.run(
        [ENTRYPOINT], env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert result.returncode == 1
    assert f'PATH_PREFIX is "{prefix}"' in result.stderr
