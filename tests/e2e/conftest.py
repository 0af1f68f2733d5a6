"""The model server and the adapter as processes of their own, with the bundled model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import openai
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "sk-e2e-0123456789abcdef"
MODEL = "openaisle/tiny-opt"
START_S = 120


@dataclasses.dataclass
class Server:
    """A running program that answers on `url`."""

    process: subprocess.Popen[bytes]
    url: str
    log: pathlib.Path

    def wait_until_ready(self, path: str = "/health/ready") -> None:
        deadline = time.monotonic() + START_S
        while not answers(f"{self.url}{path}"):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.HTTPError):
        return False


@contextlib.contextmanager
def running(program: str, port: int, log: pathlib.Path, *arguments: str) -> Iterator[Server]:
    """Runs one of the start scripts; does not wait for it to be ready."""
    command = [sys.executable, str(ROOT / program), "--host", "127.0.0.1", "--port", str(port), *arguments]
    with serving(command, port, log) as server:
        yield server


@contextlib.contextmanager
def serving(
    command: list[str], port: int, log: pathlib.Path, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | (environment or {})
        )
    try:
        yield Server(process, f"http://127.0.0.1:{port}", log)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)


def run_opt(port: int, folder: pathlib.Path, *arguments: str) -> contextlib.AbstractContextManager[Server]:
    return running("images/opt/serve-opt.py", port, folder / "opt.log", *arguments)


def run_adapter(
    port: int, folder: pathlib.Path, backend: str, *arguments: str
) -> contextlib.AbstractContextManager[Server]:
    return running(
        "images/adapter/serve-adapter.py",
        port,
        folder / "adapter.log",
        "--backend",
        backend,
        "--api-key",
        KEY,
        *arguments,
    )


def run_page(port: int, folder: pathlib.Path, adapter_url: str) -> contextlib.AbstractContextManager[Server]:
    """The page's nginx, which also passes the API on."""
    environment = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "ADAPTER_URL": adapter_url,
        "TMP_DIR": str(folder / "nginx"),
    }
    return serving([str(ROOT / "images/demo/entrypoint.sh")], port, folder / "nginx.log", environment)


@dataclasses.dataclass
class Stack:
    opt: Server
    adapter: Server


@pytest.fixture(scope="session")
def stack(free_port, tmp_path_factory) -> Iterator[Stack]:
    """A ready model behind an adapter, for tests that leave both as they are."""
    folder = tmp_path_factory.mktemp("stack")
    with (
        run_opt(free_port(), folder) as opt,
        run_adapter(free_port(), folder, opt.url) as adapter,
    ):
        opt.wait_until_ready()
        adapter.wait_until_ready()
        yield Stack(opt, adapter)


@pytest.fixture
def client(stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.adapter.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client
