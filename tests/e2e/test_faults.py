"""What clients see when a part ends, dies or comes back."""

from __future__ import annotations

import contextlib
import signal
import time

import httpx
import openai
import pytest

from .conftest import KEY, MODEL, run_adapter, run_opt

LONG = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 300, "logit_bias": {"2": -100}}


@pytest.fixture
def parts(free_port, tmp_path):
    """The model server, the adapter, and a client of the adapter."""
    with (
        run_opt(free_port(), tmp_path) as opt,
        run_adapter(free_port(), tmp_path, f"{MODEL}={opt.url}") as adapter,
        openai.OpenAI(base_url=f"{adapter.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        opt.wait_until_ready()
        adapter.wait_until_ready()
        yield opt, adapter, client


@pytest.mark.parametrize("which", [0, 1], ids=["the model server", "the adapter"])
def test_a_stream_that_runs_at_sigterm_is_finished(parts, which):
    server, client = parts[which], parts[2]
    stream = client.completions.create(**LONG, stream=True)
    next(iter(stream))
    server.process.send_signal(signal.SIGTERM)
    assert list(stream)[-1].choices[0].finish_reason == "length"
    assert server.process.wait(timeout=30) == 0


def test_a_model_server_that_is_killed_gives_503_until_it_is_back(parts, tmp_path):
    opt, adapter, client = parts
    opt.end(signal.SIGKILL)
    begun_s = time.monotonic()
    with pytest.raises(openai.InternalServerError) as caught:
        client.completions.create(model=MODEL, prompt="Once", max_tokens=4)
    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["retry-after"]) > 0
    assert caught.value.body["type"] == "server_error"
    assert time.monotonic() - begun_s < 15

    port = int(opt.url.rsplit(":", 1)[1])
    with run_opt(port, tmp_path) as again:
        again.wait_until_ready()
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(openai.InternalServerError):
                assert client.completions.create(model=MODEL, prompt="Once", max_tokens=4).choices
                break
            assert time.monotonic() < deadline, adapter.log.read_text()
            time.sleep(0.1)


def test_a_stream_whose_model_server_is_killed_ends_with_an_error(parts):
    opt, _, client = parts
    stream = client.completions.create(**LONG, stream=True)
    next(iter(stream))
    opt.process.kill()
    with pytest.raises((openai.APIError, httpx.HTTPError)):
        list(stream)
