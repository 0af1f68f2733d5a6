"""hack/run as a person uses it: start it, paste what it prints, end it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

START_S = 120


class Run:
    """One hack/run and what it has printed so far."""

    def __init__(self, root: pathlib.Path, *arguments: str, through: Sequence[str] = (), **environment: str):
        self.process = subprocess.Popen(
            [*through, str(root / "hack/run"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | environment,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str) -> str:
        """The first group of the pattern, as soon as the output has it."""
        deadline = time.monotonic() + START_S
        while not (match := re.search(pattern, self.output, re.MULTILINE)):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)
        return match.group(1)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def run(root) -> Iterator:
    """Starts hack/run with some arguments."""
    with contextlib.ExitStack() as runs:

        def start(*arguments: str, **more: Any) -> Run:
            run = Run(root, *arguments, **more)
            runs.callback(run.close)
            return run

        yield start


def processes_of(run: Run) -> list[str]:
    """Command lines of all processes that carry the run's mark in their environment or arguments."""
    logs = run.wait_for(r"\(logs: (\S+)\)")
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            files = [os.readlink(entry) for entry in (folder / "fd").iterdir()]
            if any(file.startswith(logs) for file in files):
                found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def child_of(run: Run, program: str) -> int:
    """The process id of the child whose command line names the program."""
    pid = run.process.pid
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if program in pathlib.Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise AssertionError(f"{program} is not a child of hack/run")


@pytest.mark.parametrize("arguments", [[], ["--no-nginx"]], ids=["nginx", "no nginx"])
def test_the_printed_line_works_and_the_page_is_there(run, free_port, arguments):
    started = run("--port", str(free_port()), *arguments)
    curl = started.wait_for(r"^(curl .*)$")
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["choices"][0]["text"]

    page = started.wait_for(r"page +(http\S+)")
    for path, words in (("", "<title>"), ("docs/", "<title>"), ("openapi.json", '"openapi"')):
        with urllib.request.urlopen(page + path, timeout=10) as answer:
            assert words in answer.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(run, free_port, number):
    started = run("--port", str(free_port()))
    started.wait_for(r"^(curl .*)$")
    assert len(processes_of(started)) >= 3
    assert started.end(number) == 0
    assert processes_of(started) == []
    assert "Traceback" not in started.output


def test_even_sigkill_leaves_nothing_running(run, free_port):
    started = run("--port", str(free_port()))
    started.wait_for(r"^(curl .*)$")
    assert started.end(signal.SIGKILL) == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while processes_of(started):
        assert time.monotonic() < deadline, processes_of(started)
        time.sleep(0.1)
    # Who is killed cannot clear up.
    shutil.rmtree(started.wait_for(r"\(logs: (\S+)\)"))


def test_a_proxy_for_the_outside_world_is_not_asked_for_this_machine(run, free_port):
    # Where many a university is: nobody listens on the port that is named here.
    proxy = {"http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": "", "NO_PROXY": ""}
    started = run("--port", str(free_port()), **proxy)
    curl = started.wait_for(r"^(curl .*)$")
    answer = subprocess.run(
        ["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=True, env=os.environ | proxy
    )
    assert json.loads(answer.stdout)["choices"][0]["text"]


def test_with_nohup_it_outlives_its_terminal(run, free_port):
    started = run("--port", str(free_port()), through=["nohup"])
    curl = started.wait_for(r"^(curl .*)$")
    started.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    subprocess.run(["bash", "-c", curl], capture_output=True, timeout=60, check=True)
    assert started.end(signal.SIGTERM) == 0


def test_without_nohup_it_ends_with_its_terminal(run, free_port):
    started = run("--port", str(free_port()))
    started.wait_for(r"^(curl .*)$")
    assert started.end(signal.SIGHUP) == 0
    assert processes_of(started) == []


def test_it_ends_in_order_though_nobody_reads_its_output_any_more(root, free_port, tmp_path):
    # As Ctrl-C does in `hack/run | tee log`, which ends tee first.
    with open(tmp_path / "complaints", "w+") as complaints:
        process = subprocess.Popen(
            [root / "hack/run", "--port", str(free_port())], stdout=subprocess.PIPE, stderr=complaints
        )
        with process:
            assert process.stdout is not None
            while not process.stdout.readline().startswith(b"curl"):
                assert process.poll() is None
            process.stdout.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        complaints.seek(0)
        assert complaints.read() == ""


def test_a_signal_during_the_start_ends_everything(run, free_port):
    started = run("--port", str(free_port()))
    started.wait_for(r"(Starting OpenAISLE)")
    assert started.end(signal.SIGTERM) == 0
    assert processes_of(started) == []


def test_the_given_key_is_the_one_that_counts(run, free_port):
    port = free_port()
    started = run("--port", str(port), "--api-key", "sk-mine'and\"yours")
    assert started.wait_for(r"key +(\S+)") == "sk-mine'and\"yours"
    curl = started.wait_for(r"^(curl .*)$")
    answer = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["model"] == "openaisle/tiny-opt"


def test_a_folder_without_a_model_is_named(run, free_port, tmp_path):
    started = run("--port", str(free_port()), "--model", str(tmp_path))
    assert started.process.wait(timeout=60) == 1
    assert str(tmp_path) in started.output
    assert "opt has ended (exit code 1)" in started.output
    assert "Traceback" not in started.output


@pytest.mark.parametrize("model", ["", "README.md"])
def test_what_is_no_folder_is_named_and_the_bundled_model_not_taken_instead(run, root, free_port, model):
    started = run("--port", str(free_port()), "--model", model and str(root / model))
    assert started.process.wait(timeout=60) == 1
    assert f"{model} is a file" if model else "'' is neither a folder nor a Hub id" in started.output


def test_a_part_that_dies_ends_the_rest_and_is_named(run, free_port):
    started = run("--port", str(free_port()))
    started.wait_for(r"^(curl .*)$")
    os.kill(child_of(started, "serve-adapter.py"), signal.SIGKILL)
    assert started.process.wait(timeout=60) == 1
    assert "hack/run: adapter has ended (signal SIGKILL)" in started.output
    assert processes_of(started) == []
