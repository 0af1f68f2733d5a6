"""An installation below a path of its host."""

from __future__ import annotations

import pytest
from adapter.fake_engine import fake_engine


@pytest.mark.parametrize("prefix", ["", "/openaisle", "/groups/nlp"])
@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/models/fake%2Fmodel", "/docs/", "/openapi.json"])
async def test_every_page_is_there_with_the_prefix_and_without(adapter, prefix, path):
    async with fake_engine() as engine, adapter(engine.url, path_prefix=prefix) as client:
        plain, prefixed = await client.get(path), await client.get(prefix + path)
    assert plain.status_code == prefixed.status_code == 200
    assert plain.content == prefixed.content


@pytest.mark.parametrize(
    "path", ["/v1/completions", "/v1/engines/fake%2Fmodel/completions", "/tokenize?a=%2F", "/tokenizer_info"]
)
async def test_model_server_gets_the_path_without_the_prefix(adapter, path):
    async with fake_engine() as engine, adapter(engine.url, path_prefix="/openaisle") as client:
        method = "GET" if "info" in path else "POST"
        response = await client.request(method, "/openaisle" + path, json={"model": "fake/model"})
    assert response.status_code == 200
    assert engine.requests[0].raw_path == path


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/openaisle", 200),
        ("/openaisle?x", 200),
        ("/openaislex/v1/models", 404),
        ("/openaisle/openaisle/v1/models", 404),
        ("/other/v1/models", 404),
    ],
)
async def test_prefix_is_whole_and_comes_once(adapter, path, status):
    async with fake_engine() as engine, adapter(engine.url, path_prefix="/openaisle") as client:
        assert (await client.get(path)).status_code == status


async def test_documentation_without_its_slash_leads_below_the_prefix(adapter):
    async with fake_engine() as engine, adapter(engine.url, path_prefix="/openaisle") as client:
        response = await client.get("/openaisle/docs", follow_redirects=True)
    assert response.status_code == 200
    assert response.url.path == "/openaisle/docs/"
