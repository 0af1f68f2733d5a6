"""The clients that are small enough to be tried each time; `hack/clients/run` tries the others too."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest

from .conftest import KEY, Stack


@pytest.mark.parametrize(
    ("client", "line"),
    [
        ("curl", r"^data: \[DONE\]$"),
        ("ab", r"^Failed requests: +0$"),
        ("openai-python", r"^error:  model_not_found model req_"),
        ("openai-node", r"^error:  model_not_found model req_"),
        ("llm", r"^stream:  \w+"),
    ],
)
def test_a_client_of_others_works(stack: Stack, root: pathlib.Path, client: str, line: str):
    done = run(root, "--url", stack.adapter.url, "--key", KEY, client)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(line, done.stdout, re.MULTILINE), done.stdout


def test_without_an_address_a_stack_is_started_and_ended(root: pathlib.Path):
    done = run(root, "curl")
    assert (done.returncode, done.stderr) == (0, "")
    assert "data: [DONE]" in done.stdout


def test_a_client_that_fails_is_named(stack: Stack, root: pathlib.Path):
    done = run(root, "--url", stack.adapter.url, "--key", "sk-wrong-0123456789", "curl", "openai-python")
    assert done.returncode == 1
    assert done.stderr.endswith("hack/clients/run: these clients failed: curl openai-python\n")


def test_a_client_that_is_not_there_is_refused_with_those_that_are(root: pathlib.Path):
    done = run(root, "netscape")
    assert done.returncode == 1
    assert done.stderr.startswith("hack/clients/run: there is no client netscape; there are ab curl ")


def run(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(root / "hack/clients/run"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
