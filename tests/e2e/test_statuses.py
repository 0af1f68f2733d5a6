"""Each status of the API, brought about at the model server and through the gateway.

Those that need no server of their own, 400 to 415, are in audit/test_refusals.py.
"""

from __future__ import annotations

import os
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from .conftest import KEY, MODEL, Server, run_adapter, run_opt

LONG = {"model": MODEL, "prompt": "Once", "max_tokens": 2000, "n": 4, "logit_bias": {"2": -100}}
SHORT = {"model": MODEL, "prompt": "Once", "max_tokens": 2}
LIMITS = """
keys:
  api-key: {requestsPerMinute: 3}
  reader: {models: [some/other-model]}
"""


@pytest.fixture(scope="module")
def narrow(free_port, tmp_path_factory) -> Iterator[Server]:
    """A model server with room for little."""
    folder = tmp_path_factory.mktemp("narrow")
    arguments = ["--max-num-seqs", "4", "--max-waiting", "1", "--request-timeout-s", "1"]
    with run_opt(free_port(), folder, *arguments) as opt:
        opt.wait_until_ready()
        yield opt


@pytest.fixture(scope="module", params=["model server", "gateway"])
def url(request, narrow: Server, free_port, tmp_path_factory) -> Iterator[str]:
    if request.param == "model server":
        yield narrow.url
        return
    with run_adapter(free_port(), tmp_path_factory.mktemp("adapter"), narrow.url) as adapter:
        adapter.wait_until_ready()
        yield adapter.url


def ask(url: str, value: object, key: str = KEY) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{url}/v1/completions", json=value, headers=headers, timeout=60)


def check_error(answer: httpx.Response, status: int, kind: str) -> dict[str, str | None]:
    """The refusal has OpenAI's form; gives back its error object."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    error: dict[str, str | None] = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == kind
    return error


def test_429_when_the_queue_is_full(url: str, narrow: Server):
    thread = threading.Thread(target=ask, args=(url, LONG))
    thread.start()
    wait_until_it_computes(narrow)
    answer = ask(url, SHORT | {"n": 2})
    thread.join()
    error = check_error(answer, 429, "rate_limit_exceeded")
    assert error["code"] == "rate_limit_exceeded"
    assert int(answer.headers["retry-after"]) > 0


def test_504_when_the_answer_takes_too_long(url: str):
    check_error(ask(url, LONG), 504, "server_error")


def test_504_ends_a_stream_with_an_error_event(url: str):
    events = ask(url, LONG | {"stream": True}).text.split("\n\n")
    assert events[-1] == ""
    assert '"type":"server_error"' in events[-2].replace(" ", "")
    assert "[DONE]" not in events[-2]


@pytest.fixture(params=["model server", "gateway"])
def parts(request, free_port, tmp_path: pathlib.Path) -> Iterator[tuple[Server, Callable[[], str]]]:
    """A model server that has only just been started, and a function that gives the address to ask."""
    with (
        run_opt(free_port(), tmp_path) as opt,
        run_adapter(free_port(), tmp_path, f"{MODEL}={opt.url}") as adapter,
    ):

        def address() -> str:
            server = opt if request.param == "model server" else adapter
            server.wait_until_ready("/health/live")
            return server.url

        yield opt, address


def test_503_while_the_model_loads_and_500_when_its_engine_dies(parts):
    opt, address = parts
    url = address()
    answer = ask(url, SHORT)
    check_error(answer, 503, "server_error")
    assert int(answer.headers["retry-after"]) > 0

    opt.wait_until_ready()
    deadline = time.monotonic() + 30
    while ask(url, SHORT).status_code != 200:
        assert time.monotonic() < deadline
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(ask(url, LONG)))
    thread.start()
    wait_until_it_computes(opt)
    for pid in children(opt.process.pid):
        os.kill(pid, signal.SIGKILL)
    thread.join()
    error = check_error(answers[0], 500, "server_error")
    assert "send it again" in str(error["message"])
    assert opt.process.wait(timeout=30) == 1


def wait_until_it_computes(opt: Server) -> None:
    deadline = time.monotonic() + 30
    while not number_running(opt):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def number_running(opt: Server) -> float:
    """Sequences that the engine computes; it says nothing of them before the first."""
    page = httpx.get(f"{opt.url}/metrics").text
    lines = [line for line in page.splitlines() if "num_requests_running" in line and line[0] != "#"]
    return sum(float(line.split()[-1]) for line in lines)


def children(pid: int) -> list[int]:
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def test_504_when_the_model_server_is_silent(free_port, tmp_path: pathlib.Path, narrow: Server):
    with run_adapter(free_port(), tmp_path, narrow.url, "--timeout-s", "0.5") as adapter:
        adapter.wait_until_ready()
        assert ask(adapter.url, SHORT).status_code == 200
        narrow.process.send_signal(signal.SIGSTOP)
        try:
            check_error(ask(adapter.url, SHORT), 504, "server_error")
        finally:
            narrow.process.send_signal(signal.SIGCONT)


def test_403_and_429_by_the_limits_of_keys(free_port, tmp_path: pathlib.Path, narrow: Server):
    (tmp_path / "limits.yaml").write_text(LIMITS)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "reader").write_text("sk-reader-0123456789")
    arguments = ["--limits-file", str(tmp_path / "limits.yaml"), "--keys-dir", str(tmp_path / "keys")]
    with run_adapter(free_port(), tmp_path, narrow.url, *arguments) as adapter:
        adapter.wait_until_ready()
        error = check_error(ask(adapter.url, SHORT, "sk-reader-0123456789"), 403, "invalid_request_error")
        assert error["param"] == "model"

        good = [ask(adapter.url, SHORT) for _ in range(3)]
        assert [answer.status_code for answer in good] == [200] * 3
        for left, answer in zip((2, 1, 0), good, strict=True):
            assert answer.headers["x-ratelimit-limit-requests"] == "3"
            assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
            assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
        refused = ask(adapter.url, SHORT)
        error = check_error(refused, 429, "rate_limit_exceeded")
        assert error["code"] == "rate_limit_exceeded"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
