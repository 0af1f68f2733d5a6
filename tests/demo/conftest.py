"""The page behind the real nginx, in the real Chromium, in front of a small adapter that runs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

HERE = pathlib.Path(__file__).parent
ENTRYPOINT = HERE.parents[1] / "images" / "demo" / "entrypoint.sh"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Another host cannot even be looked up.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
# Long enough for a machine that is busy with other things.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


def _load_fake_adapter() -> Any:
    spec = importlib.util.spec_from_file_location("fake_adapter", HERE / "fake_adapter.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_adapter"] = module
    spec.loader.exec_module(module)
    return module


fake_adapter = _load_fake_adapter()


@pytest.fixture(scope="session")
def adapter_process() -> Iterator[Any]:
    adapter = fake_adapter.FakeAdapter().start()
    yield adapter
    adapter.close()


@pytest.fixture
def adapter(adapter_process: Any) -> Any:
    """The fake adapter with its plain behaviour."""
    adapter_process.behaviour = fake_adapter.Behaviour()
    adapter_process.requests.clear()
    adapter_process.paths.clear()
    adapter_process.gone.clear()
    return adapter_process


@pytest.fixture(scope="session")
def start_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts the image's entry point on a free port and gives its address; ended after the tests."""
    started: list[subprocess.Popen[bytes]] = []

    def start(adapter_url: str, **environment: str) -> str:
        port = _free_port()
        folder = tmp_path_factory.mktemp("demo")
        settings = {
            "ADAPTER_URL": adapter_url,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "TMP_DIR": str(folder / "nginx"),
            "ACCESS_LOG": "off",
            **environment,
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([ENTRYPOINT], env=os.environ | settings, stderr=log)
        started.append(process)
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/healthz", process, folder / "log")
        return url

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(10)


@pytest.fixture(scope="session")
def wait_for() -> Callable[[str, subprocess.Popen[bytes], pathlib.Path], None]:
    """Waits until a started server answers at an address; its log is shown if it does not."""
    return _wait_for


@pytest.fixture(scope="session")
def demo_url(adapter_process: Any, start_demo: Callable[..., str]) -> str:
    return start_demo(adapter_process.url)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"{url} did not answer: {log.read_text()}")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Ended with each module: while it runs, this thread has a running event loop, in which the
    asynchronous tests of other folders could not start theirs."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser: Browser, demo_url: str, adapter: Any) -> Iterator[Callable[..., Page]]:
    """Opens the page in a new context. Afterwards no file of another host was asked for, nothing
    broke the Content-Security-Policy and no script failed."""
    contexts = []
    complaints: list[str] = []

    def check_host(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:")):
            complaints.append(f"asked another host: {url}")

    def open_(url: str = demo_url + "/", **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('CSP: ' + e.violatedDirective))"
        )

        page = context.new_page()
        page.on("request", lambda request: check_host(request.url))
        page.on("pageerror", lambda error: complaints.append(f"script failed: {error}"))
        page.on("console", lambda message: complaints.extend(re.findall("CSP: .*", message.text)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The page as it is after the first load with a valid key."""
    page = open_page()
    page.fill("#key", fake_adapter.KEY)
    page.press("#key", "Enter")
    expect(page.locator("#key-note")).to_have_text("Key accepted.")
    return page
