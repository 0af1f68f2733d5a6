"""docs/adapter.md names everything that there is."""

from __future__ import annotations

import re

import pytest
from adapter.fake_engine import fake_engine
from openaisle_adapter.__main__ import main


@pytest.fixture
def page(root) -> str:
    return (root / "docs/adapter.md").read_text(encoding="utf-8")


def test_every_option_is_documented_and_no_other(page, capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    documented = set(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE))
    assert documented == options


async def test_every_metric_is_documented_and_no_other(page, adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        await client.post("/v1/completions", json={"model": "fake/model"})
        metrics = (await client.get("/metrics")).text
    names = set(re.findall(r"^# TYPE (openaisle_adapter_\w+)", metrics, re.MULTILINE))
    documented = set(re.findall(r"^\| `(openaisle_adapter_\w+)", page, re.MULTILINE))
    assert documented == {name for name in names if not name.endswith("_created")}


async def test_every_route_is_documented(page, adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        for method, path in re.findall(r"`(GET|POST) (/[^`]*)`", page):
            filled = path.replace("{model}", "fake/model")
            response = await client.request(method, filled, json={"model": "fake/model"})
            assert response.status_code == 200, path
