"""Streams: their headers, their chunks, their time, and their end."""

from __future__ import annotations

import json
import socket
import time

import pytest

from .tier import END, MODEL, PROMPT, Tier, body, joined


def test_the_headers_of_a_stream(tier: Tier):
    answer = tier.post(body(stream=True))
    assert answer.status == 200
    assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
    assert "no-cache" in answer.headers["cache-control"]
    assert answer.headers.get_all("x-accel-buffering") == ["no"]
    assert answer.headers["content-length"] is None
    assert answer.headers["content-encoding"] is None
    assert answer.headers["x-request-id"]
    assert answer.headers["openai-processing-ms"].isdecimal()


def test_chunks_share_id_time_and_model_and_have_the_shape_of_an_answer(tier: Tier):
    chunks = tier.stream()
    for name in ("id", "created", "model", "system_fingerprint", "object"):
        assert len({chunk[name] for chunk in chunks}) == 1
    assert chunks[0]["object"] == "text_completion"
    assert chunks[0]["model"] == MODEL
    for chunk in chunks:
        assert chunk.keys() == {"id", "object", "created", "model", "system_fingerprint", "choices"}
        for choice in chunk["choices"]:
            assert choice.keys() == {"text", "index", "logprobs", "finish_reason"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"max_tokens": 1},
        {"temperature": 1, "seed": 3, "max_tokens": 64},
        {"echo": True},
        {"echo": True, "max_tokens": 0},
        {"prompt": "Zoë 🙂", "temperature": 2, "seed": 9, "max_tokens": 64},
        {"logit_bias": {"2": 100}},
        {"stop": ["e", " the"]},
        {"logprobs": 2},
    ],
    ids=json.dumps,
)
def test_a_stream_says_the_same_as_the_whole_answer(tier: Tier, fields: dict[str, object]):
    whole = tier.choice(**fields)
    chunks = tier.stream(**fields)
    assert joined(chunks) == whole["text"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


def test_only_the_last_chunk_of_a_choice_has_a_reason_and_it_has_no_text(tier: Tier):
    chunks = tier.stream(logprobs=1, logit_bias=END)
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["length"]
    last = chunks[-1]["choices"][0]
    assert last["text"] == ""
    assert last["logprobs"] == {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}


def test_no_chunk_before_the_last_is_empty(tier: Tier):
    assert all(chunk["choices"][0]["text"] for chunk in tier.stream()[:-1])


def test_each_choice_of_a_stream_has_its_own_end(tier: Tier):
    fields = {"prompt": [PROMPT, "The fox"], "n": 2, "temperature": 1, "seed": 3}
    whole = tier.complete(**fields)["choices"]
    chunks = tier.stream(**fields)
    for choice in whole:
        assert joined(chunks, choice["index"]) == choice["text"]
    ends = [c["index"] for k in chunks for c in k["choices"] if c["finish_reason"] is not None]
    assert sorted(ends) == [0, 1, 2, 3]


def test_usage_comes_last_when_it_is_asked_for(tier: Tier):
    chunks = tier.stream(stream_options={"include_usage": True}, logit_bias=END)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13}
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
def test_usage_does_not_come_when_it_is_not(tier: Tier, options: object):
    chunks = tier.stream(stream_options=options)
    assert all(not chunk.get("usage") for chunk in chunks)
    assert chunks[-1]["choices"]


def test_no_chunk_splits_a_character(tier: Tier):
    # Biases that make the model write bytes of characters of several tokens.
    biases = {str(token): 12 for token in range(100, 260)}
    fields = {"temperature": 1.5, "seed": 5, "max_tokens": 120, "logit_bias": biases | END}
    chunks = tier.stream(**fields)
    assert joined(chunks) == tier.choice(**fields)["text"]


@pytest.mark.parametrize(
    "fields", [{"max_tokens": -1}, {"model": "none"}, {"prompt": [9999]}, {"max_tokens": 5000}, {"n": 0}]
)
def test_a_mistake_is_told_before_the_stream_begins(tier: Tier, fields: dict[str, object]):
    answer = tier.post(body(stream=True, **fields))
    answer.error(404 if "model" in fields else 400)


def test_tokens_arrive_as_they_are_made(tier: Tier):
    connection = tier.connect()
    headers = tier.authorization | {"Content-Type": "application/json"}
    begun = time.monotonic()
    connection.request(
        "POST",
        "/v1/completions",
        json.dumps(body(stream=True, max_tokens=1500, logit_bias=END)),
        headers,
    )
    response = connection.getresponse()
    response.read1(65536)
    first = time.monotonic() - begun
    response.read()
    whole = time.monotonic() - begun
    connection.close()
    assert first < whole / 2


def test_the_connection_serves_on_after_a_stream(tier: Tier):
    connection = tier.connect()
    headers = tier.authorization | {"Content-Type": "application/json"}
    for stream in (True, False, True):
        connection.request("POST", "/v1/completions", json.dumps(body(stream=stream)), headers)
        response = connection.getresponse()
        assert response.status == 200
        assert response.read()
        assert not response.will_close
    connection.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_http_1_0_gets_no_chunked_body(tier: Tier, stream: bool):
    content = json.dumps(body(stream=stream)).encode()
    lines = [
        "POST /v1/completions HTTP/1.0",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in tier.authorization.items()),
    ]
    host, _, port = tier.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0]
    assert b"chunked" not in head.lower()
    if stream:
        assert rest.startswith(b"data: {")
        assert rest.endswith(b"data: [DONE]\n\n")
    else:
        assert json.loads(rest)["choices"]
