"""The program as a process: its command line, its log and its end."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import signal
import socket

import httpx
import pytest
from adapter import program as processes
from adapter.fake_engine import fake_engine, stream_of
from adapter.fake_kubernetes import fake_kubernetes
from adapter.program import client_of
from openaisle_adapter import command_line, settings
from openaisle_adapter.__main__ import main

BODY = {"model": "fake/model", "prompt": "x"}


@pytest.fixture
def program():
    """A factory: the program as users start it."""
    return processes.running


async def test_stream_that_runs_at_sigterm_is_finished_and_the_exit_code_is_0(program):
    gate = asyncio.Event()
    handler = stream_of(b"data: 1\n\n", b"data: [DONE]\n\n", gate=gate)
    async with (
        fake_engine(handler=handler) as engine,
        program("--port", "0", "--host", "127.0.0.1", "--backend", engine.url, "--api-key", "k") as running,
        client_of(running, headers={"authorization": "Bearer k"}) as client,
    ):
        await running.logged("http://")  # the models are known
        async with client.stream("POST", "/v1/completions", json=BODY) as response:
            chunks = response.aiter_raw()
            assert await anext(chunks) == b"data: 1\n\n"
            running.process.send_signal(signal.SIGTERM)
            await running.logged("Draining")
            with pytest.raises(httpx.ConnectError):
                async with httpx.AsyncClient(trust_env=False) as other:
                    await other.get(f"{client.base_url}/health/ready")
            gate.set()
            assert b"".join([chunk async for chunk in chunks]) == b"data: [DONE]\n\n"
        code, log = await running.end()
    assert code == 0
    assert "Traceback" not in log


async def test_open_connections_are_served_while_a_stream_is_finished(program):
    gate = asyncio.Event()
    handler = stream_of(b"data: 1\n\n", b"data: [DONE]\n\n", gate=gate)
    async with (
        fake_engine(handler=handler) as engine,
        program("--port", "0", "--host", "127.0.0.1", "--backend", engine.url, "--api-key", "k") as running,
        client_of(running, headers={"authorization": "Bearer k"}) as client,
    ):
        await running.logged("http://")
        async with (
            httpx.AsyncClient(base_url=client.base_url, trust_env=False) as other,
            client.stream("POST", "/v1/completions", json=BODY) as response,
        ):
            assert (await other.get("/health/ready")).status_code == 200
            running.process.send_signal(signal.SIGTERM)
            await running.logged("Draining")
            ready = await other.get("/health/ready")  # on the connection that is open already
            assert (ready.status_code, ready.json()["status"]) == (503, "draining")
            assert ready.headers["connection"] == "close"
            gate.set()
            await response.aread()
        assert (await running.end())[0] == 0


@pytest.mark.parametrize("impatient", [True, False])
async def test_end_of_the_grace_period_or_a_second_signal_cuts_what_still_runs(program, impatient):
    grace_s = "600" if impatient else "0.2"
    handler = stream_of(b"data: 1\n\n", b"data: 2\n\n", gate=asyncio.Event())
    arguments = ("--port", "0", "--host", "127.0.0.1", "--api-key", "k", "--grace-period-s", grace_s)
    async with (
        fake_engine(handler=handler) as engine,
        program(*arguments, "--backend", engine.url) as running,
        client_of(running, headers={"authorization": "Bearer k"}) as client,
    ):
        await running.logged("http://")
        async with client.stream("POST", "/v1/completions", json=BODY) as response:
            running.process.send_signal(signal.SIGINT)
            await running.logged("Draining")
            if impatient:
                running.process.send_signal(signal.SIGINT)
            with pytest.raises(httpx.RemoteProtocolError):
                await response.aread()
        assert (await running.end())[0] == 0
        await asyncio.wait_for(engine.cancelled.wait(), 5)


async def test_key_that_was_made_at_start_is_logged_and_opens(program, free_port):
    backend = f"m=http://127.0.0.1:{free_port()}"
    async with program("--port", "0", "--host", "127.0.0.1", "--backend", backend) as running:
        key = (await running.logged("No API key was given"))["message"].split()[-1]
        async with client_of(running, auth=("", key)) as client:
            assert (await client.get("/v1/models")).json()["data"][0]["id"] == "m"


async def test_each_request_is_one_line_without_the_key(program):
    token = base64.b64encode(b"top-secret").decode()
    async with (
        fake_engine() as engine,
        program(
            "--port",
            "0",
            "--host",
            "127.0.0.1",
            "--backend",
            f"fake/model={engine.url}",
            "--auth-token",
            token,
        ) as running,
        client_of(running, auth=("", "top-secret")) as client,
    ):
        await client.post("/v1/completions", json={**BODY, "user": "u-1"}, headers={"x-request-id": "mine"})
        await client.get("/health/live")
        await client.get("/nowhere")
        line = await running.logged("request")
        next_line = await running.logged("request")
    expected = {
        "level": "info",
        "request_id": "mine",
        "key": "auth-token",
        "user": "u-1",
        "method": "POST",
        "path": "/v1/completions",
        "model": "fake/model",
        "status": 200,
        "outcome": "complete",
        "backend": engine.url,
    }
    assert {name: line[name] for name in expected} == expected
    assert 0 < line["first_byte_ms"] <= line["total_ms"]
    assert (next_line["path"], next_line["status"]) == ("/nowhere", 404)
    assert "top-secret" not in json.dumps(running.log)


@pytest.fixture
def said_by_main(capsys, monkeypatch):
    """What the program says when it cannot start; without starting Python once more."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HOME"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: str) -> str:
        try:
            assert main(arguments) == 1
        finally:
            root.handlers, root.level = handlers, level
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "No model server is named"),
        (["--backend", "nonsense"], "'nonsense' is neither"),
        (["--backend", "http://"], "'http://' is not of the form"),
        (["--backend", "http://a:99999"], "'http://a:99999' is not of the form"),
        (["--backend", "=http://a"], "'=http://a' is neither"),
        (["--port", "many"], "'many' is not a number"),
        (["--port", "70000"], "70000 is not between 0 and 65535"),
        (["--max-body-bytes", "0"], "0 is not between 1 and 2147483647"),
        (["--nope"], "--nope"),
        (
            ["--backend", "http://a", "--path-prefix", "openaisle"],
            "'openaisle' is no path such as /openaisle",
        ),
        (["--backend", "http://a", "--wait-s", "-1"], "-1 is not between 0 and 3600"),
        (["--backend", "http://a", "--auth-token", "%%%"], "--auth-token is not base64"),
        (["--backend", "http://a", "--api-key", "a b"], "--api-key contains a space"),
        (["--backend", "http://a", "--keys-dir", "/no/such/dir"], "/no/such/dir"),
        (["--backend", "http://a", "--api-key", "k", "--limits-file", "/no/such/file"], "/no/such/file"),
        (["--backend", "http://a", "--page-dir", "/no/such/dir"], "there is no folder /no/such/dir"),
        (["--backend", "http://a", "--api-key", "k", "--host", "256.1.1.1"], "256.1.1.1"),
        (["--discover", "--api-key", "k"], "--discover needs a Kubernetes cluster"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(said_by_main, arguments, sentence):
    said = said_by_main(*arguments)
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{}", "current-context: x", "- a", "a: [", "current-context: {}"])
def test_kubeconfig_that_is_none_is_named(said_by_main, tmp_path, monkeypatch, text):
    path = tmp_path / "config"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    said = said_by_main("--discover", "--api-key", "k", "--port", "0")
    assert str(path) in said
    assert said.count("\n") == 1


async def test_taken_port_is_named(program):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        arguments = ("--host", "127.0.0.1", "--port", port, "--backend", "http://a", "--api-key", "k")
        async with program(*arguments) as running:
            code, said = await running.end()
    assert (code, said) == (1, f"Port {port} is taken by another program: choose another with --port.\n")


async def test_unreachable_api_server_is_named(program, tmp_path):
    async with fake_kubernetes() as kubernetes:
        kubeconfig = kubernetes.kubeconfig(tmp_path)
    arguments = ("--discover", "--host", "127.0.0.1", "--port", "0", "--api-key", "k")
    async with program(*arguments, KUBECONFIG=str(kubeconfig)) as running:
        code, said = await running.end()
    assert code == 1
    assert kubernetes.url in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("text", "model", "url"),
    [
        ("http://a:1", None, "http://a:1"),
        ("http://a:1/", None, "http://a:1"),
        ("http://a:1/v1", None, "http://a:1"),
        ("https://a/base/v1/", None, "https://a/base"),
        ("facebook/opt-125m=http://a:1", "facebook/opt-125m", "http://a:1"),
        ("odd=name=http://[::1]:1", "odd=name", "http://[::1]:1"),
    ],
)
def test_backend_is_read_with_or_without_its_model(text, model, url):
    read = command_line.parse_settings(["--backend", text], {})
    assert read.backends == (settings.StaticBackend(url, model),)


@pytest.mark.parametrize(("text", "prefix"), [("/", ""), ("/a", "/a"), ("/a/b/", "/a/b")])
def test_path_prefix_has_no_slash_at_its_end(text, prefix):
    read = command_line.parse_settings(["--backend", "http://a", "--path-prefix", text], {})
    assert read.path_prefix == prefix


def test_key_may_come_from_the_environment():
    assert command_line.parse_settings(["--backend", "http://a"], {"OPENAISLE_API_KEY": "k"}).api_key == "k"
