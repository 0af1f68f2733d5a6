"""What holds between the adapter and the model server when both are well."""

from __future__ import annotations

import threading
import time

import httpx
import openai

from .conftest import KEY, MODEL


def test_a_client_that_leaves_frees_its_work(stack, client):
    arguments = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 2000, "logit_bias": {"2": -100}}
    answer = client.completions.create(**arguments, stream=True)
    next(iter(answer))
    assert running_requests(stack.opt.url) == 1
    answer.close()
    deadline = time.monotonic() + 10
    while running_requests(stack.opt.url):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running_requests(url: str) -> float:
    """Sequences that the engine computes, from the server's own metrics."""
    for line in httpx.get(f"{url}/metrics").text.splitlines():
        if "num_requests_running" in line and not line.startswith("#"):
            return float(line.split()[-1])
    raise AssertionError("the metrics do not say how many requests run")


def test_both_ways_of_a_key_and_none(stack):
    url = f"{stack.adapter.url}/v1/models"
    assert httpx.get(url, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    assert httpx.get(url, auth=("", KEY)).status_code == 200
    refused = httpx.get(url)
    assert refused.status_code == 401
    assert set(refused.json()["error"]) == {"message", "type", "param", "code"}


def test_answers_are_those_of_the_model_server_byte_for_byte(stack):
    body = {"model": MODEL, "prompt": "Once", "max_tokens": "many"}
    direct = httpx.post(f"{stack.opt.url}/v1/completions", json=body)
    relayed = httpx.post(f"{stack.adapter.url}/v1/completions", json=body, auth=("", KEY))
    assert (direct.status_code, direct.content) == (relayed.status_code, relayed.content)


def test_load_from_many_threads_fails_no_request(client):
    failures: list[Exception] = []

    def user() -> None:
        try:
            for _ in range(5):
                client.completions.create(model=MODEL, prompt="The fox", max_tokens=8)
        except openai.APIError as error:
            failures.append(error)

    threads = [threading.Thread(target=user) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
