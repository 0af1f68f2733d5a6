"""What a client gets from POST /v1/completions with `stream`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opt.server.conftest import MODEL, ServeApp, Served


def _joined(chunks: list[dict[str, Any]], index: int = 0) -> dict[str, Any]:
    """The choice that the chunks of one index make up."""
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    joined: dict[str, Any] = {"text": "".join(choice["text"] for choice in choices)}
    for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        arrays = [choice["logprobs"][name] for choice in choices if choice["logprobs"]]
        joined[name] = None if None in arrays else [entry for array in arrays for entry in array]
    return joined


async def test_a_stream_has_the_headers_that_keep_it_flowing(served: Served) -> None:
    response = await served.post(prompt="hello", stream=True)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-request-id"].startswith("req_")
    assert "content-length" not in response.headers


async def test_chunks_have_one_id_and_end_with_a_finish_reason(served: Served) -> None:
    served.says("hello world")
    chunks = await served.stream(prompt="a", max_tokens=2)
    assert {(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        (chunks[0]["id"], chunks[0]["created"], MODEL, "text_completion")
    }
    *texts, end = [chunk["choices"][0] for chunk in chunks]
    assert "".join(choice["text"] for choice in texts) == "hello world"
    assert {(c["index"], c["logprobs"], c["finish_reason"]) for c in texts} == {(0, None, None)}
    assert end == {"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}
    assert not any("usage" in chunk for chunk in chunks)


async def test_the_usage_comes_last_and_only_if_asked_for(served: Served) -> None:
    served.says("hello world")
    chunks = await served.stream(prompt="a", max_tokens=2, n=2, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}


async def test_every_index_of_a_stream_ends_once(served: Served) -> None:
    served.says("abc", "de")
    chunks = await served.stream(prompt=["hello", " world"], n=2, max_tokens=3, logprobs=1)
    ends = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["finish_reason"]]
    assert sorted((end["index"], end["finish_reason"]) for end in ends) == [
        (0, "length"),
        (1, "stop"),
        (2, "length"),
        (3, "stop"),
    ]
    empty = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    assert all(end["text"] == "" and end["logprobs"] == empty for end in ends)
    assert [_joined(chunks, index)["text"] for index in range(4)] == ["abc", "de", "abc", "de"]


@pytest.mark.parametrize("one_step_each", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 12},
        {"max_tokens": 12, "logprobs": 0},
        {"max_tokens": 12, "logprobs": 5, "echo": True},
        {"max_tokens": 12, "logprobs": 2, "stop": ["wor", "ld!"], "echo": True},
        {"max_tokens": 7, "logprobs": 2, "stop": ["hello wo?"]},
        {"max_tokens": 0, "logprobs": 2, "echo": True},
        {"max_tokens": 5, "logprobs": 2},
    ],
)
async def test_joined_chunks_are_the_whole_answer(
    served: Served, body: dict[str, Any], one_step_each: bool
) -> None:
    served.engine.one_step_each = one_step_each
    served.says("é😀hello world")
    body = {"prompt": "né", **body}
    whole = (await served.complete(**body))["choices"][0]
    joined = _joined(await served.stream(**body))
    assert joined["text"] == whole["text"]
    if whole["logprobs"]:
        assert {name: joined[name] for name in whole["logprobs"]} == whole["logprobs"]


async def test_no_chunk_is_empty_before_the_last(served: Served) -> None:
    served.says("😀é</s>hello")
    chunks = await served.stream(prompt="a", max_tokens=16, stop="hello world")
    *texts, last = [chunk["choices"][0]["text"] for chunk in chunks]
    assert last == ""
    assert all(texts)
    assert "".join(texts) == "😀éhello"


async def test_a_chunk_leaves_as_soon_as_its_token_is_there(served: Served) -> None:
    served.engine.ends = False
    served.says("a")
    body = {"model": MODEL, "prompt": "hello", "stream": True}
    async with served.client.stream("POST", "/v1/completions", json=body) as response:
        lines = response.aiter_lines()
        first = json.loads((await anext(lines)).removeprefix("data: "))
        assert first["choices"][0]["text"] == "a"
    cancel = await asyncio.wait_for(served.engine.cancelled.get(), 10)
    assert cancel.sample is None


async def test_a_failure_before_the_first_token_is_a_plain_error(served: Served) -> None:
    served.engine.failure = "No room."
    response = await served.post(prompt="hello", stream=True)
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "No room."


async def test_a_failure_in_mid_stream_is_an_event_and_no_done(served: Served) -> None:
    served.engine.failure, served.engine.fails_after = "The engine stumbled.", 2
    served.says("abc")
    response = await served.post(prompt="hello", stream=True)
    *_, last = response.text.removesuffix("\n\n").split("\n\n")
    assert json.loads(last.removeprefix("data: ")) == {
        "error": {
            "message": "The engine stumbled.",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }
    assert "[DONE]" not in response.text
    assert '"finish_reason":"' not in response.text


async def test_an_engine_that_dies_ends_streams_with_an_error(served: Served) -> None:
    served.engine.ends = False
    served.says("a")
    posting = asyncio.create_task(served.post(prompt="hello", stream=True))
    await served.engine.submitted.get()
    await asyncio.sleep(0)
    served.engine.hang_up()
    response = await posting
    assert "The engine stopped" in response.text
    assert "[DONE]" not in response.text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("padding", [0, 100_000, 1_000_000])
async def test_a_client_that_leaves_frees_its_work(served: Served, stream: bool, padding: int) -> None:
    served.engine.hold = True
    # Sanic reads on only when it is asked to once it has 64 KiB in hand, and would not see the end.
    posting = asyncio.create_task(
        served.post(prompt=["hello", "world"], n=2, stream=stream, user=padding * "u")
    )
    submitted = {(await served.engine.submitted.get()).request_id for _ in range(2)}
    posting.cancel()
    cancelled = {(await asyncio.wait_for(served.engine.cancelled.get(), 10)).request_id for _ in range(2)}
    assert cancelled == submitted
    assert served.context.engine.num_outstanding == 0
    await asyncio.wait_for(served.context.health.idle.wait(), 10)


async def test_a_slow_reader_gets_all_of_it(serve_app: ServeApp) -> None:
    served = await serve_app()
    served.says("hello")
    body = {"model": MODEL, "prompt": "hello", "stream": True, "n": 100, "best_of": 100, "max_tokens": 1}
    async with served.client.stream("POST", "/v1/completions", json=body) as response:
        text = b"".join([part async for part in response.aiter_raw(chunk_size=4096)])
    assert text.count(b'"text":"hello"') == 100
    assert text.endswith(b"data: [DONE]\n\n")
