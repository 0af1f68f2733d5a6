"""The whole program with a model that is divided between processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from opt.server.serving import serving, start

DIVIDED = ["--device", "cpu", "--tensor-parallel-size", "2", "--dtype", "float32"]
BODY = {"model": "openaisle/tiny-opt", "prompt": "Once upon a time", "max_tokens": 12, "n": 3, "seed": 5}


def test_it_answers_as_one_process_does_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def texts(url: str) -> list[str]:
        answer = httpx.post(f"{url}/v1/completions", json=BODY, timeout=60, trust_env=False)
        return [choice["text"] for choice in answer.json()["choices"]]

    with serving("--device", "cpu", "--dtype", "float32") as program:
        expected = texts(program.url)
    with serving(*DIVIDED) as program:
        assert texts(program.url) == expected
        (rank,) = children(*children(program.pid))
    deadline = time.monotonic() + 30
    while is_running(rank) or list(tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_rank_that_is_killed_ends_the_program_with_a_sentence() -> None:
    with start(*DIVIDED) as process:
        try:
            assert process.stderr is not None
            assert any("ready: " in line for line in process.stderr)
            (rank,) = children(*children(process.pid))
            os.kill(rank, signal.SIGKILL)
            said = process.stderr.read()
            assert process.wait(30) == 1
        finally:
            process.kill()
    assert said.splitlines()[-1].startswith("serve-opt: Rank 1 of 2 was killed, most likely because memory")
    assert "Traceback" not in said


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))


def is_running(pid: int) -> bool:
    """Whether a process computes, or could: not if it waits for somebody to ask how it ended."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
