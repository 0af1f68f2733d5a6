"""An adapter that finds its model servers by watching an API server."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from adapter.fake_engine import fake_engine
from adapter.fake_kubernetes import endpoint, endpoint_slice, fake_kubernetes, service
from openaisle_adapter.discovery import kube, kube_client
from openaisle_adapter.errors import StartError

BODY = {"model": "fake/model", "prompt": "x"}


def slice_of(url: str, name: str = "s", of: str = "opt", **conditions: bool):
    parts = urlsplit(url)
    return endpoint_slice(name, of, parts.port, endpoint(parts.hostname, **conditions))


@pytest.fixture
def cluster(adapter, tmp_path, monkeypatch):
    """A factory: an API server and an adapter that watches it."""

    @asynccontextmanager
    async def run(*, allowed: bool = True):
        async with fake_kubernetes() as kubernetes:
            kubernetes.allowed = allowed
            monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig(tmp_path)))
            async with adapter(discover=True) as client:
                yield kubernetes, client

    return run


def status_is(client, status: int):
    async def ask() -> bool:
        return (await client.post("/v1/completions", json=BODY)).status_code == status

    return ask


def models_are(client, *ids: str):
    async def ask() -> bool:
        return [model["id"] for model in (await client.get("/v1/models")).json()["data"]] == list(ids)

    return ask


async def test_pod_that_becomes_ready_gets_requests_and_one_that_does_not_gets_none(cluster, eventually):
    async with fake_engine() as engine, cluster() as (kubernetes, client):
        await eventually(status_is(client, 404))
        kubernetes.put("services", service("opt", "fake/model"))
        await eventually(status_is(client, 503))
        assert (await client.post("/v1/completions", json=BODY)).headers["retry-after"]
        assert await models_are(client, "fake/model")()
        kubernetes.put("endpointslices", slice_of(engine.url, ready=False))
        kubernetes.bookmark("endpointslices")
        await eventually(status_is(client, 503))
        kubernetes.put("endpointslices", slice_of(engine.url, ready=True))
        await eventually(status_is(client, 200))
        kubernetes.put("endpointslices", slice_of(engine.url, ready=False, serving=True, terminating=True))
        await eventually(status_is(client, 503))
        kubernetes.delete("services", "opt")
        await eventually(status_is(client, 404))


async def test_objects_that_were_there_before_are_found(adapter, tmp_path, monkeypatch, eventually):
    async with fake_engine() as engine, fake_kubernetes() as kubernetes:
        kubernetes.put("services", service("opt", "fake/model"))
        kubernetes.put("endpointslices", slice_of(engine.url))
        monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig(tmp_path)))
        async with adapter(discover=True, selector="a=b") as client:
            await eventually(status_is(client, 200))
    assert kubernetes.token_seen == "Bearer t0ken"
    assert kubernetes.selectors == {"services": "a=b", "endpointslices": "kubernetes.io/service-name"}


async def test_watch_that_the_server_ends_is_taken_up_without_a_new_list(cluster, eventually):
    async with fake_engine() as engine, cluster() as (kubernetes, client):
        kubernetes.put("services", service("opt", "fake/model"))
        await eventually(models_are(client, "fake/model"))
        lists = kubernetes.num_lists
        kubernetes.end_watches("endpointslices")

        async def watches_again() -> bool:
            return kubernetes.num_watches("endpointslices") == 1

        await eventually(watches_again)
        kubernetes.put("endpointslices", slice_of(engine.url))
        await eventually(status_is(client, 200))
        assert kubernetes.num_lists == lists


async def test_deletion_missed_in_a_gap_does_not_survive_the_next_list(cluster, eventually):
    async with cluster() as (kubernetes, client):
        kubernetes.put("services", service("one", "org/one"))
        kubernetes.put("services", service("two", "org/two"))
        await eventually(models_are(client, "org/one", "org/two"))
        kubernetes.delete("services", "one", quietly=True)
        kubernetes.end_watches("services", gone=True)
        await eventually(models_are(client, "org/two"))


async def test_last_state_stays_while_the_api_server_is_away(
    adapter, tmp_path, monkeypatch, eventually, free_port
):
    port = free_port()
    async with fake_engine() as engine:
        async with fake_kubernetes(port) as kubernetes:
            kubernetes.put("services", service("opt", "fake/model"))
            kubernetes.put("endpointslices", slice_of(engine.url))
            monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig(tmp_path)))
            running = adapter(discover=True)
            client = await running.__aenter__()
            await eventually(status_is(client, 200))
        try:
            assert await status_is(client, 200)()
            assert (await client.get("/health/ready")).status_code == 200
            async with fake_kubernetes(port) as kubernetes:
                kubernetes.put("services", service("other", "org/other"))
                await eventually(models_are(client, "org/other"))
        finally:
            await running.__aexit__(None, None, None)


async def test_refusal_is_logged_in_words_and_asked_again(cluster, eventually, caplog, monkeypatch):
    monkeypatch.setattr(kube, "BACKOFF_S", (0.05,))
    with caplog.at_level(logging.ERROR):
        async with cluster(allowed=False) as (kubernetes, client):

            async def said() -> bool:
                return "get, list and watch on endpointslices" in caplog.text

            await eventually(said)
            assert (await client.get("/health/ready")).status_code == 503
            response = await client.post("/v1/completions", json=BODY)
            assert (response.status_code, response.headers["retry-after"]) == (503, "2")
            kubernetes.allowed = True
            kubernetes.put("services", service("opt", "fake/model"))
            await eventually(models_are(client, "fake/model"))
            assert (await client.get("/health/ready")).status_code == 200


async def test_ready_says_when_the_watch_was_last_heard(cluster, eventually):
    async with cluster() as (kubernetes, client):
        kubernetes.put("services", service("opt", "fake/model"))
        await eventually(models_are(client, "fake/model"))
        health = (await client.get("/health/ready")).json()
    assert 0 <= health["silence_s"]["kubernetes"] < 10
    assert health["models"] == ["fake/model"]


async def test_watch_in_which_nothing_comes_is_given_up(cluster, eventually, monkeypatch):
    monkeypatch.setattr(kube_client, "SILENCE_S", 0.1)
    monkeypatch.setattr(kube, "BACKOFF_S", (0.01,))
    async with cluster() as (kubernetes, client):
        lists = kubernetes.num_lists

        async def listed_again() -> bool:
            return kubernetes.num_lists >= lists + 4

        await eventually(listed_again)
        assert (await client.get("/health/ready")).status_code == 200


async def test_api_server_that_is_not_there_is_named_at_start(adapter, tmp_path, monkeypatch, free_port):
    monkeypatch.setattr(kube, "BACKOFF_S", (0.01,))
    async with fake_kubernetes() as kubernetes:
        url = kubernetes.url
        monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig(tmp_path)))
    with pytest.raises(StartError, match=url):
        async with adapter(discover=True):
            pass
