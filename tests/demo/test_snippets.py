"""The code that the page writes for a request does what the page would do: each piece is run."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fake_adapter import KEY
from playwright.sync_api import Page

PROMPT = 'It\'s "quoted", a \\ backslash, $HOME, `ls`, é and 😀,\nand a second line'


@pytest.fixture
def snippet(page: Page, adapter: Any) -> Callable[[str], str]:
    """Writes an awkward prompt, changes some parameters, and gives the code of a kind."""
    adapter.behaviour.pieces = [[(" the", " the")], [(" end", " end")]]
    page.fill("#text", PROMPT)
    page.fill("#param-max_tokens", "2")
    page.fill("#param-temperature", "0.5")
    page.fill("#param-stop", "\\n\\n")
    page.press("#param-stop", "Enter")

    def write(kind: str) -> str:
        page.click("#open-code")
        page.select_option("#code-kind", kind)
        code = page.inner_text("#code-text")
        assert KEY not in code
        return code

    return write


def check_request(adapter: Any) -> None:
    """The server was asked for what the page shows, and for nothing else."""
    sent = {name: value for name, value in adapter.requests[-1].items() if value is not None}
    assert sent == {
        "model": "openaisle/tiny-opt",
        "prompt": PROMPT,
        "max_tokens": 2,
        "temperature": 0.5,
        "stop": ["\n\n"],
        "logprobs": 5,
    }


def run(command: list[str], cwd: pathlib.Path) -> str:
    environment = os.environ | {"OPENAI_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}
    result = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_curl(snippet: Callable[[str], str], adapter: Any, tmp_path: pathlib.Path) -> None:
    assert '"text": " the end"' in run(["bash", "-c", snippet("curl")], tmp_path)
    check_request(adapter)


def test_python(snippet: Callable[[str], str], adapter: Any, tmp_path: pathlib.Path) -> None:
    assert run([sys.executable, "-c", snippet("python")], tmp_path) == " the end\n"
    check_request(adapter)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_javascript_with_fetch(snippet: Callable[[str], str], adapter: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "snippet.mjs").write_text(snippet("fetch"))
    assert run(["node", "snippet.mjs"], tmp_path) == " the end\n"
    check_request(adapter)


@pytest.mark.parametrize("kind", ["node", "llm", "lm_eval"])
def test_kinds_that_need_more_than_is_here_name_this_installation_and_the_model(
    snippet: Callable[[str], str], demo_url: str, tmp_path: pathlib.Path, kind: str
) -> None:
    code = snippet(kind)
    assert f"{demo_url}/v1" in code
    assert "openaisle/tiny-opt" in code
    if kind != "node":
        subprocess.run(["bash", "-n", "-c", code], check=True, cwd=tmp_path)
