"""Requests that cannot be carried out: the status, the four keys, and the parameter that is to blame."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opt.server.conftest import MODEL, ServeApp, Served


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("max_tokens", -1),
        ("max_tokens", 1.0),
        ("max_tokens", "5"),
        ("max_tokens", True),
        ("max_tokens", 10**30),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", "1"),
        ("temperature", False),
        ("temperature", 1e400),
        ("top_p", -0.1),
        ("top_p", 1.1),
        ("n", 0),
        ("n", 129),
        ("n", 1.5),
        ("n", True),
        ("best_of", 0),
        ("best_of", 21),
        ("stream", "true"),
        ("stream", 1),
        ("logprobs", -1),
        ("logprobs", 6),
        ("logprobs", True),
        ("echo", 1),
        ("stop", 5),
        ("stop", [5]),
        ("stop", ""),
        ("stop", ["a", ""]),
        ("stop", ["a" * 10_001]),
        ("stop", {"a": 1}),
        ("presence_penalty", -2.1),
        ("presence_penalty", 2.1),
        ("frequency_penalty", 3),
        ("frequency_penalty", []),
        ("logit_bias", []),
        ("logit_bias", {"a": 1}),
        ("logit_bias", {"-1": 1}),
        ("logit_bias", {"1.5": 1}),
        ("logit_bias", {"²": 1}),
        ("logit_bias", {"5": 101}),
        ("logit_bias", {"5": "1"}),
        ("logit_bias", {"5": None}),
        ("logit_bias", {"300": 1}),
        ("seed", 2**63),
        ("seed", 1.5),
        ("seed", "x"),
        ("user", 5),
        ("suffix", "end"),
        ("suffix", ""),
        ("prompt", []),
        ("prompt", [[]]),
        ("prompt", [[5], []]),
        ("prompt", [5, "a"]),
        ("prompt", ["a", 5]),
        ("prompt", [[5], "a"]),
        ("prompt", [[5], 5]),
        ("prompt", [5, True]),
        ("prompt", [1.5]),
        ("prompt", [-1]),
        ("prompt", [300]),
        ("prompt", [[5], [10**20]]),
        ("prompt", [None]),
        ("prompt", {"a": 1}),
        ("prompt", 5),
        ("stream_options", True),
        ("stream_options", {"include_usage": 1}),
        ("stream_options", {"other": True}),
    ],
)
async def test_a_bad_value_is_refused_and_named(served: Served, param: str, value: object) -> None:
    body: dict[str, Any] = {"model": MODEL, "prompt": "hello", "stream": param == "stream_options"}
    body[param] = value
    # Python's JSON has no number that is too large.
    text = json.dumps(body).replace("Infinity", "1e400")
    response = await served.client.post("/v1/completions", content=text)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, None)
    assert served.engine.submitted.empty()


async def test_a_length_of_zero_needs_echo(served: Served) -> None:
    error = await served.refuse(400, prompt="hello", max_tokens=0)
    assert error["message"].startswith("You requested a length 0 completion, but you did not set the 'echo'")
    assert error["param"] == "max_tokens"


async def test_best_of_may_not_be_less_than_n(served: Served) -> None:
    error = await served.refuse(400, prompt="hello", n=3, best_of=2)
    assert error["param"] == "best_of"


async def test_best_of_greater_than_n_does_not_stream(served: Served) -> None:
    response = await served.post(prompt="hello", n=1, best_of=2, stream=True)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "best_of")


async def test_stream_options_need_a_stream(served: Served) -> None:
    response = await served.post(prompt="hello", stream_options={"include_usage": True})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "stream_options")


async def test_an_unknown_argument_is_refused_in_openais_words(served: Served) -> None:
    error = await served.refuse(400, prompt="hello", top_k=5)
    assert error["message"] == "Unrecognized request argument supplied: top_k"
    assert error["param"] == "top_k"
    error = await served.refuse(400, prompt="hello", top_k=5, min_p=0)
    assert error["message"] == "Unrecognized request arguments supplied: top_k, min_p"


@pytest.mark.parametrize("model", ["gpt-4", "", MODEL.upper()])
async def test_an_unknown_model_is_not_found(served: Served, model: str) -> None:
    error = await served.refuse(404, model=model, prompt="hello")
    assert error == {
        "message": f"The model `{model}` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


async def test_a_model_has_to_be_named(served: Served) -> None:
    assert (await served.refuse(400, model=None))["message"] == "You must provide a model parameter."
    assert (await served.refuse(400, model=5))["message"] == "Invalid type for 'model': expected a string."


async def test_the_context_length_is_told_in_numbers(served: Served) -> None:
    error = await served.refuse(400, prompt="a" * 60, max_tokens=10)
    assert error["message"] == (
        "This model's maximum context length is 64 tokens, however you requested 71 tokens (61 in your "
        "prompt; 10 for the completion). Please reduce your prompt; or completion length."
    )
    assert (error["code"], error["param"]) == ("context_length_exceeded", "max_tokens")
    error = await served.refuse(400, prompt="a" * 70, max_tokens=1)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "prompt")
    await served.complete(prompt="a" * 53, max_tokens=10)


async def test_megabytes_of_text_are_refused_without_being_tokenized(served: Served) -> None:
    error = await served.refuse(400, prompt="a" * 4_000_000)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "prompt")
    # The longest token of the test's tokenizer is " world".
    assert error["message"].startswith(
        "This model's maximum context length is 64 tokens, however you requested at least 666683 tokens"
    )
    error = await served.refuse(400, prompt=" world" * 64)
    assert "requested 81 tokens (65 in your prompt; 16 for the completion)" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b"[]",
        b"5",
        b'"text"',
        b"null",
        b"\xff\xfe{}",
        b'{"model": "\xff"}',
        b'{"model": NaN}',
        b'{"temperature": Infinity}',
        b'{"temperature": -Infinity}',
        b'{"model": "a", "model": "b"}',
        b"{'model': 'a'}",
        b'{"model": "a",}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        '{"model": "a"}'.encode("utf-16"),
        b"prompt=hello&model=a",
    ],
)
async def test_what_is_not_a_json_object_is_refused(served: Served, body: bytes) -> None:
    response = await served.client.post("/v1/completions", content=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("param", ["prompt", "stop", "user"])
async def test_half_a_surrogate_pair_is_refused(served: Served, param: str) -> None:
    body = f'{{"model": "{MODEL}", "{param}": "a\\ud83d"}}'
    response = await served.client.post("/v1/completions", content=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    for name in ("model", "what\\ud83d"):
        response = await served.client.post("/v1/completions", content=f'{{"{name}": "\\ud83d"}}')
        assert response.status_code in (400, 404)


async def test_a_whole_surrogate_pair_is_a_character(served: Served) -> None:
    body = f'{{"model": "{MODEL}", "prompt": "\\ud83d\\ude00", "echo": true}}'
    response = await served.client.post("/v1/completions", content=body)
    assert response.json()["choices"][0]["text"].startswith("😀")


async def test_a_full_queue_refuses_all_prompts_or_none(serve_app: ServeApp) -> None:
    served = await serve_app(max_waiting=2)
    served.engine.hold = True
    first = asyncio.create_task(served.post(prompt=["a", "b"], n=2))
    await served.engine.submitted.get()
    await served.engine.submitted.get()
    response = await served.post(prompt=["a", "b", "c"])
    assert response.status_code == 429
    assert response.json()["error"]["type"] == response.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(response.headers["retry-after"]) <= 120
    assert served.engine.submitted.empty()
    second = asyncio.create_task(served.post(prompt=["a", "b"]))
    await served.engine.submitted.get()
    served.engine.release()
    assert [(await task).status_code for task in (first, second)] == [200, 200]
    assert served.context.engine.num_outstanding == 0


async def test_more_than_the_queue_can_ever_hold_is_a_bad_request(serve_app: ServeApp) -> None:
    served = await serve_app(max_waiting=0)
    error = await served.refuse(400, prompt=["a"] * 5)
    assert error["param"] == "prompt"


async def test_more_than_the_queue_can_ever_hold_is_not_even_tokenized(served: Served) -> None:
    class Unwilling:
        longest_token = 100

        async def encode(self, text: str) -> None:
            raise AssertionError(f"{text!r} was tokenized")

    served.context.tokenizer = Unwilling()  # type: ignore[assignment]
    error = await served.refuse(400, prompt=["a"] * 100_000)
    assert "100000 completions at once" in error["message"]


async def test_a_model_that_is_loading_asks_for_patience(serve_app: ServeApp) -> None:
    served = await serve_app(loaded=False)
    served.context.health.phase, served.context.health.fraction = "loading the weights", 0.25
    response = await served.post(prompt="hello")
    assert response.status_code == 503
    assert response.json()["error"]["type"] == "server_error"
    assert "loading the weights, 25%" in response.json()["error"]["message"]
    assert int(response.headers["retry-after"]) > 0


async def test_an_answer_that_takes_too_long_ends(serve_app: ServeApp) -> None:
    served = await serve_app(request_timeout_s=0.05)
    served.engine.hold = True
    response = await served.post(prompt="hello")
    assert (response.status_code, response.headers["x-should-retry"]) == (504, "false")
    assert response.json()["error"] == {
        "message": "The answer took longer than the 0.05 seconds that this server allows.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
    assert (await served.engine.cancelled.get()).sample is None
    served.engine.hold, served.engine.ends = False, False
    streamed = await served.post(prompt="hello", stream=True)
    assert streamed.status_code == 200
    last = streamed.text.removesuffix("\n\n").split("\n\n")[-1]
    assert "took longer" in json.loads(last.removeprefix("data: "))["error"]["message"]
    assert "[DONE]" not in streamed.text
    assert served.context.engine.num_outstanding == 0
