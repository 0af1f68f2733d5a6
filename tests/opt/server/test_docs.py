"""docs/opt.md names everything that the program takes and answers to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from openaisle_opt.server.app import create_app
from openaisle_opt.settings import parse_settings
from opt.server.conftest import Served
from sanic import Sanic

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs/opt.md").read_text()


def test_every_option_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_settings(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    documented = set(re.findall(r"^\| `(--[a-z-]+)", DOCUMENT, re.MULTILINE))
    assert documented == options


async def test_every_route_is_in_the_table(served: Served) -> None:
    app = create_app(served.context)
    Sanic.unregister_app(app)
    routes = {f"/{route.path}".replace("<model:path>", "{model}") for route in app.router.routes}
    assert len(routes) > 5
    assert [route for route in sorted(routes) if f" {route}`" not in DOCUMENT] == []
