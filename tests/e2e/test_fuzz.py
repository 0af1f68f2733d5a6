"""Requests made up from the OpenAPI document meet no answer that it does not describe; see hack/fuzz."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from .conftest import KEY, Stack

EXAMPLES = 8
"""For each route, beside those at the edges of every range; `hack/fuzz/api --examples` makes more."""


@pytest.mark.parametrize("tier", ["model server", "gateway"])
def test_every_answer_is_one_that_the_document_describes(stack: Stack, root: pathlib.Path, tier: str):
    where = [stack.opt.url] if tier == "model server" else [stack.adapter.url, "--key", KEY]
    done = subprocess.run(
        [sys.executable, str(root / "hack/fuzz/fuzz.py"), *where, f"--examples={EXAMPLES}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Tested: " in done.stdout


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        (["http://127.0.0.1:9"], "http://127.0.0.1:9 does not answer"),
        (["{adapter}"], "answers 401; give the gateway's key with --key"),
    ],
)
def test_what_keeps_a_run_from_beginning_is_said_in_a_sentence(
    stack: Stack, root: pathlib.Path, where: list[str], sentence: str
):
    arguments = [argument.format(adapter=stack.adapter.url) for argument in where]
    done = subprocess.run(
        [sys.executable, str(root / "hack/fuzz/fuzz.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
