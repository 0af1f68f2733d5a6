"""The documentation page of the real adapter, behind nginx, in the browser."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_adapter import FakeAdapter
from playwright.sync_api import Page, expect

ROOT = pathlib.Path(__file__).parents[2]
KEY = "sk-docs"


@pytest.fixture(scope="module")
def model_server() -> Iterator[FakeAdapter]:
    server = FakeAdapter().start()
    server.behaviour.key = None
    yield server
    server.close()


@pytest.fixture(scope="module")
def installation(model_server: FakeAdapter, start_demo: Callable[..., str]) -> Iterator[str]:
    """The address of nginx in front of the real adapter in front of a small model server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "openaisle_adapter", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend", f"openaisle/tiny-opt={model_server.url}", "--api-key", KEY]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "images" / "adapter")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    _wait_until_ready(f"{url}/health/ready")
    yield start_demo(url)
    process.terminate()
    process.wait(20)


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, f"{url} is not ready"
            time.sleep(0.1)


def test_the_page_shows_the_api_and_sends_a_request(
    open_page: Callable[..., Page], installation: str, model_server: Any
) -> None:
    page = open_page(f"{installation}/docs")
    assert page.url == f"{installation}/docs/"
    expect(page.locator("#operations-Completions-createCompletion")).to_be_visible()
    page.click("button.authorize")
    page.fill("#auth-bearer-value", KEY)
    page.click(".auth-container:has(#auth-bearer-value) button[type=submit]")
    page.click("button.close-modal, .btn-done")
    page.click("#operations-Models-listModels button.opblock-summary-control")
    page.click("#operations-Models-listModels .try-out__btn")
    page.click("#operations-Models-listModels button.execute")
    answer = page.locator("#operations-Models-listModels .live-responses-table")
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text("openaisle/tiny-opt")


def test_the_page_of_prompts_works_through_the_real_adapter(
    open_page: Callable[..., Page], installation: str
) -> None:
    page = open_page(installation + "/")
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    expect(page.locator("#key-note")).to_have_text("Key accepted.")
    page.fill("#text", "Once")
    page.click("#generate")
    expect(page.locator("#outcome")).to_contain_text("max_tokens")
    assert page.input_value("#text").startswith("Once she walked down")


@pytest.mark.parametrize(
    ("system", "chosen", "is_dark"),
    [("light", None, False), ("dark", None, True), ("dark", "light", False), ("light", "dark", True)],
)
def test_the_theme_is_the_one_of_the_demo_page_or_the_systems(
    open_page: Callable[..., Page], installation: str, system: str, chosen: str | None, is_dark: bool
) -> None:
    page = open_page(installation, color_scheme=system)
    if chosen:
        page.select_option("#theme", chosen)
    page.goto(f"{installation}/docs/")
    expect(page.locator("#swagger .info")).to_be_visible()
    for element in ("body", "header"):
        colour = page.evaluate(f"getComputedStyle(document.querySelector('{element}')).backgroundColor")
        assert (max(map(int, colour[4:-1].split(","))) < 128) == is_dark
