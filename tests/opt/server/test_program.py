"""The program as a user starts it and as Kubernetes ends it; its engine is a fake in a real process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.hub import Hub
from opt.server.checkpoints import write_checkpoint

_START = (
    "import sys; from openaisle_opt.__main__ import main;"
    "sys.exit(main(sys.argv[1:], engine='opt.server.fake_engine:main'))"
)
BODY = {"model": "lab/opt", "prompt": "hello", "max_tokens": 2}


class Program:
    """A running serve-opt, and what it says."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        path = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *arguments],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.client = httpx.Client(timeout=20, trust_env=False, verify=False)
        self.lines: list[str] = []

    def wait_for(self, text: str) -> str:
        """The first line on stderr with `text`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return line.strip()
        raise AssertionError("\n".join(self.lines))

    def wait_until_ready(self) -> None:
        url = self.wait_for("ready: lab/opt").rpartition(" on ")[2]
        self.client.base_url = httpx.URL(url)

    def end(self) -> tuple[int, str]:
        """Wait for the end; gives the exit code and all of stderr."""
        assert self.process.stderr is not None
        code = self.process.wait(20)
        self.lines += self.process.stderr.read().splitlines()
        return code, "\n".join(self.lines)


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []
    folder = write_checkpoint(tmp_path / "model")

    def begin(*arguments: str, model: str = str(folder), behaviour: str = "", **environment: str) -> Program:
        environment |= {"FAKE_ENGINE": behaviour, "FAKE_ENGINE_RELEASE": str(tmp_path / "release")}
        fixed = ["--model", model, "--served-model-name", "lab/opt", "--host", "127.0.0.1"]
        if "--port" not in arguments:
            fixed += ["--port", "0"]
        programs.append(Program([*fixed, *arguments], {**environment, "TMPDIR": str(tmp_path)}))
        return programs[-1]

    yield begin
    for program in programs:
        program.client.close()
        if program.process.poll() is None:
            program.process.kill()
        program.process.communicate()
    # The engine's folder with its socket goes with the engine.
    assert not list(tmp_path.glob("openaisle-*"))


class Answer(threading.Thread):
    """A request in flight."""

    def __init__(self, program: Program, **body: Any) -> None:
        super().__init__(daemon=True)
        self.response: httpx.Response | None = None
        self._program, self._body = program, {**BODY, **body}
        self.start()

    def run(self) -> None:
        # A test in which the connection breaks does not ask for the answer.
        with contextlib.suppress(httpx.HTTPError):
            self.response = self._program.client.post("/v1/completions", json=self._body)

    def get(self) -> httpx.Response:
        self.join(20)
        assert self.response is not None
        return self.response


def test_it_serves_and_ends_cleanly(start: Start) -> None:
    program = start()
    program.wait_until_ready()
    response = program.client.post("/v1/completions", json=BODY)
    assert response.status_code == 200
    assert "alt-svc" not in response.headers
    program.process.send_signal(signal.SIGTERM)
    code, said = program.end()
    assert code == 0
    assert "Traceback" not in said
    assert "loading the weights" in said
    assert program.process.stdout is not None
    assert json.loads(program.process.stdout.read())["status"] == 200


def test_a_model_from_the_hub_is_fetched_while_probes_are_answered(
    start: Start, hub: Hub, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    hub.gate.clear()
    port = free_port()
    program = start(
        "--port", str(port), "--download-dir", str(tmp_path / "cache"), model="lab/opt", HF_ENDPOINT=hub.url
    )
    program.wait_for("looking for lab/opt on the Hub")
    program.client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
    ready = program.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["phase"] == "looking for lab/opt on the Hub"
    assert program.client.get("/health/live").status_code == 200
    refused = program.client.post("/v1/completions", json=BODY)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    hub.gate.set()
    program.wait_until_ready()
    assert program.client.post("/v1/completions", json=BODY).status_code == 200
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 0


def test_a_model_that_the_hub_has_not_is_one_sentence(start: Start, hub: Hub, tmp_path: Path) -> None:
    hub.status = 404
    hub.headers = {"X-Error-Code": "RepoNotFound"}
    code, said = start("--download-dir", str(tmp_path), model="lab/opt", HF_ENDPOINT=hub.url).end()
    assert code == 1
    assert said.splitlines()[-1].startswith("serve-opt: The Hub has no model lab/opt")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "/no/such/folder"], "There is no folder /no/such/folder"),
        (["--port", "x"], "'x' is not a whole number"),
        (["--max-model-len", "0"], "0 is not between 1 and 2147483647"),
        (["--host", "not an address"], "is not an address to listen on"),
        (["--chat-template", "/no/such/file"], "there is no file '/no/such/file'"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_1(
    start: Start, arguments: list[str], sentence: str
) -> None:
    code, said = start(*arguments).end()
    assert code == 1
    assert said.startswith("serve-opt: ")
    assert sentence in said
    assert "\n" not in said


def test_a_chat_template_that_cannot_be_read_is_one_sentence(start: Start, tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{% if %}")
    code, said = start("--chat-template", str(tmp_path / "chat.jinja")).end()
    assert code == 1
    assert said.splitlines()[-1].startswith("serve-opt: The chat template in ")
    assert "Traceback" not in said


def test_a_taken_port_is_named_before_the_engine_starts(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = start("--port", str(port)).end()
    assert (code, said) == (
        1,
        f"serve-opt: Port {port} is taken by another program; choose another with --port.",
    )


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("fatal", "The weights are too large for this machine; choose a smaller model."),
        ("exit", "The engine ended with exit code 3"),
    ],
)
def test_an_engine_that_cannot_start_is_one_sentence(start: Start, behaviour: str, sentence: str) -> None:
    code, said = start(behaviour=behaviour).end()
    assert code == 1
    assert sentence in said.splitlines()[-1]
    assert "Traceback" not in said


def test_an_engine_that_dies_ends_the_program(start: Start) -> None:
    program = start(behaviour="die")
    program.wait_until_ready()
    response = program.client.post("/v1/completions", json=BODY)
    assert response.status_code == 500
    assert "The engine stopped" in response.json()["error"]["message"]
    code, said = program.end()
    assert code == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("stream", [False, True])
def test_running_requests_finish_after_sigterm(start: Start, tmp_path: Path, stream: bool) -> None:
    program = start(behaviour="hold")
    program.wait_until_ready()
    answer = Answer(program, stream=stream)
    _wait_until_in_engine(program)
    program.process.send_signal(signal.SIGTERM)
    program.wait_for("stopping")
    ready = program.client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
    refused = program.client.post("/v1/completions", json=BODY)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    (tmp_path / "release").touch()
    response = answer.get()
    assert response.status_code == 200
    assert response.text.endswith("data: [DONE]\n\n") is stream
    assert program.end()[0] == 0


def test_after_the_grace_period_streams_end_with_an_error(start: Start) -> None:
    program = start("--grace-period-s", "0", behaviour="hold")
    program.wait_until_ready()
    answer = Answer(program)
    _wait_until_in_engine(program)
    program.process.send_signal(signal.SIGTERM)
    assert "shutting down" in answer.get().json()["error"]["message"]
    assert program.end()[0] == 0


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    program = start(behaviour="hold")
    program.wait_until_ready()
    Answer(program)
    _wait_until_in_engine(program)
    program.process.send_signal(signal.SIGINT)
    program.wait_for("stopping")
    program.process.send_signal(signal.SIGINT)
    assert program.end()[0] == 128 + signal.SIGINT


def _wait_until_in_engine(program: Program) -> None:
    """The fake engine tells on stderr when it has a prompt."""
    program.wait_for("holding a prompt")
