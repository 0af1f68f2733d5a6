"""The page below a path of another server, as behind a site's own reverse proxy."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_adapter import KEY
from playwright.sync_api import Page, expect

CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log stderr; {user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        absolute_redirect off;
        location = /a/b {{ return 308 /a/b/; }}
        location /a/b/ {{ proxy_pass {upstream}/; proxy_http_version 1.1; proxy_buffering off; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def outer_url(
    demo_url: str, tmp_path_factory: pytest.TempPathFactory, wait_for: Callable[..., None]
) -> Iterator[str]:
    """A server of the site's own, with the page's nginx at /a/b/."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("outer")
    user = "user root;" if os.getuid() == 0 else ""
    text = CONFIGURATION.format(folder=folder, port=port, upstream=demo_url, user=user)
    (folder / "nginx.conf").write_text(text)
    path = os.environ["PATH"] + ":/usr/sbin"
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | {"PATH": path}, stderr=log)
    wait_for(f"http://127.0.0.1:{port}/a/b/healthz", process, folder / "log")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("path", ["/a/b/", "/a/b"])
def test_the_page_works_below_a_path(
    open_page: Callable[..., Page], outer_url: str, adapter: Any, path: str
) -> None:
    page = open_page(outer_url + path)
    assert page.url == f"{outer_url}/a/b/"
    page.fill("#key", KEY)
    page.press("#key", "Enter")
    expect(page.locator("#key-note")).to_have_text("Key accepted.")
    page.fill("#text", "Once")
    page.click("#generate")
    expect(page.locator("#outcome")).to_contain_text("max_tokens")
    page.click("#open-code")
    expect(page.locator("#code-text")).to_contain_text(f"{outer_url}/a/b/v1/completions")


def test_the_documentation_is_reached_from_the_page(outer_url: str, adapter: Any) -> None:
    with urllib.request.urlopen(f"{outer_url}/a/b/docs/", timeout=10) as response:
        assert response.read() == b"<h1>API</h1>"
