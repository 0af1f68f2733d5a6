"""What a client gets from POST /v1/completions."""

from __future__ import annotations

import json

import pytest
from opt.server.conftest import MODEL, Served


async def test_an_answer_has_openais_shape(served: Served) -> None:
    served.says("hello world")
    answer = await served.complete(prompt="hello", max_tokens=2)
    assert answer["id"].startswith("cmpl-")
    assert answer["system_fingerprint"].startswith("fp_")
    assert (answer["object"], answer["model"]) == ("text_completion", MODEL)
    assert answer["choices"] == [
        {"text": "hello world", "index": 0, "logprobs": None, "finish_reason": "length"}
    ]
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


async def test_answers_are_compact_json_with_headers(served: Served) -> None:
    response = await served.post(prompt="hello")
    assert response.content == json.dumps(response.json(), separators=(",", ":")).encode()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["openai-version"] == "2020-10-01"
    assert response.headers["x-request-id"].startswith("req_")
    assert int(response.headers["openai-processing-ms"]) >= 0
    assert int(response.headers["x-openaisle-queue-ms"]) == 1


async def test_the_end_of_a_sequence_is_counted_but_not_shown(served: Served) -> None:
    served.says("hello")
    answer = await served.complete(prompt="a", max_tokens=5, logprobs=0)
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("hello", "stop")
    assert answer["usage"]["completion_tokens"] == 2
    assert choice["logprobs"]["tokens"] == ["hello", "</s>"]
    assert choice["logprobs"]["text_offset"] == [1, 6]


async def test_max_tokens_is_sixteen_by_default(served: Served) -> None:
    served.says("a" * 40)
    answer = await served.complete(prompt="a")
    assert answer["choices"][0]["text"] == "a" * 16
    assert answer["choices"][0]["finish_reason"] == "length"


async def test_nulls_mean_defaults(served: Served) -> None:
    names = "suffix max_tokens temperature top_p n best_of stream stream_options logprobs echo stop "
    names += "presence_penalty frequency_penalty logit_bias seed user prompt"
    await served.complete(**dict.fromkeys(names.split()))
    sampling = (await served.engine.submitted.get()).sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (16, 1.0, 1.0)
    assert (sampling.seed, sampling.logprobs, sampling.logit_bias) == (None, None, {})


async def test_sampling_parameters_reach_the_engine(served: Served) -> None:
    wanted = {"max_tokens": 7, "temperature": 0, "top_p": 0.5, "seed": -(2**63), "presence_penalty": -2}
    await served.complete(**wanted, frequency_penalty=2, logit_bias={"5": -100, "6": 0.5}, logprobs=3)
    sampling = (await served.engine.submitted.get()).sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (7, 0.0, 0.5)
    assert (sampling.seed, sampling.presence_penalty, sampling.frequency_penalty) == (-(2**63), -2.0, 2.0)
    assert (sampling.logit_bias, sampling.logprobs) == ({5: -100.0, 6: 0.5}, 3)
    assert sampling.prompt_logprobs is None


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (None, [[2]]),
        ("", [[2]]),
        ("hello world", [[2, 263, 268]]),
        (["hello", " world"], [[2, 263], [2, 268]]),
        ([5, 6, 7], [[5, 6, 7]]),
        ([[5, 6], [2]], [[5, 6], [2]]),
        ("hello</s>hello", [[2, 263, 2, 263]]),
    ],
)
async def test_prompts_have_four_shapes(served: Served, prompt: object, expected: list[list[int]]) -> None:
    answer = await served.complete(prompt=prompt, max_tokens=1)
    submitted = [(await served.engine.submitted.get()).prompt_token_ids for _ in expected]
    assert submitted == expected
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(expected)))
    assert answer["usage"]["prompt_tokens"] == sum(map(len, expected))


async def test_choices_are_numbered_by_prompt_and_sample(served: Served) -> None:
    served.says("a", "b", "c")
    answer = await served.complete(prompt=["hello", " world"], n=3, max_tokens=1)
    assert [choice["text"] for choice in answer["choices"]] == list("abcabc")
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3, 4, 5]
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}


async def test_best_of_gives_the_likeliest_by_mean_logprob(served: Served) -> None:
    served.says("a", "bbbb", "c", "d")
    likelihoods = {"a": -3.0, "b": -1.0, "c": -2.0, "d": -4.0}
    served.engine.logprob = lambda i: likelihoods.get(served.tokenizer.token_text(i), 0.0)
    answer = await served.complete(prompt="hello", best_of=4, n=2, max_tokens=1)
    assert [(c["index"], c["text"]) for c in answer["choices"]] == [(0, "b"), (1, "c")]
    assert answer["usage"]["completion_tokens"] == 4
    assert (await served.engine.submitted.get()).num_samples == 4


async def test_best_of_equal_to_n_is_n(served: Served) -> None:
    served.says("a", "b")
    chunks = await served.stream(prompt="hello", best_of=2, n=2, max_tokens=1)
    texts = {c["index"]: c["text"] for chunk in chunks for c in chunk["choices"] if c["text"]}
    assert texts == {0: "a", 1: "b"}


async def test_echo_puts_the_prompt_first(served: Served) -> None:
    served.says(" world")
    answer = await served.complete(prompt="hello</s>é", echo=True, max_tokens=1)
    assert answer["choices"][0]["text"] == "hello</s>é world"


async def test_echo_of_token_ids_leaves_special_tokens_out(served: Served) -> None:
    ids = [2, *served.ids("hello"), 1, *served.ids(" world")]
    answer = await served.complete(prompt=ids, echo=True, max_tokens=0, logprobs=1)
    (choice,) = answer["choices"]
    assert choice["text"] == "hello world"
    assert choice["logprobs"]["tokens"] == ["</s>", "hello", "<pad>", " world"]
    assert choice["logprobs"]["text_offset"] == [0, 0, 5, 5]


async def test_max_tokens_zero_scores_the_prompt(served: Served) -> None:
    answer = await served.complete(prompt="hello world", max_tokens=0, echo=True, logprobs=2, n=2)
    assert len(answer["choices"]) == 2
    for choice in answer["choices"]:
        assert (choice["text"], choice["finish_reason"]) == ("hello world", "length")
        logprobs = choice["logprobs"]
        assert logprobs["tokens"] == ["</s>", "hello", " world"]
        assert logprobs["token_logprobs"] == [None, -2.63, -2.68]
        assert logprobs["text_offset"] == [0, 0, 5]
        assert logprobs["top_logprobs"][0] is None
        assert [len(top) for top in logprobs["top_logprobs"][1:]] == [3, 3]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}


async def test_zero_logprobs_gives_those_of_the_chosen_tokens(served: Served) -> None:
    served.says("hello world")
    answer = await served.complete(prompt="é", max_tokens=2, logprobs=0)
    assert answer["choices"][0]["logprobs"] == {
        "tokens": ["hello", " world"],
        "token_logprobs": [-2.63, -2.68],
        "top_logprobs": None,
        "text_offset": [1, 6],
    }


async def test_echo_with_logprobs_has_an_entry_for_every_token(served: Served) -> None:
    served.says("hello")
    answer = await served.complete(prompt=[5, 6, 7], max_tokens=1, logprobs=1, echo=True)
    logprobs = answer["choices"][0]["logprobs"]
    assert [len(logprobs[name]) for name in logprobs] == [4, 4, 4, 4]
    assert logprobs["token_logprobs"][0] is None
    assert logprobs["top_logprobs"][0] is None
    assert None not in logprobs["token_logprobs"][1:]


async def test_the_chosen_token_is_always_among_the_top_ones(served: Served) -> None:
    served.says([200, 10])
    served.engine.logprob = lambda token_id: -0.1234567890123 * token_id
    answer = await served.complete(prompt="hello", max_tokens=2, logprobs=2)
    logprobs = answer["choices"][0]["logprobs"]
    for token, logprob, top in zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    ):
        assert top[token] == logprob
    assert [len(top) for top in logprobs["top_logprobs"]] == [3, 2]


async def test_tokens_within_a_character_have_keys_of_their_own(served: Served) -> None:
    emoji = served.ids("😀")
    assert len(emoji) == 4
    served.says([*emoji, *served.ids("a")])
    served.engine.top_token_ids = emoji
    answer = await served.complete(prompt="hello", max_tokens=5, logprobs=4)
    (choice,) = answer["choices"]
    assert choice["text"] == "😀a"
    assert choice["logprobs"]["tokens"] == [r"bytes:\xf0", r"bytes:\x9f", r"bytes:\x98", r"bytes:\x80", "a"]
    assert choice["logprobs"]["text_offset"] == [5, 5, 5, 5, 6]
    assert len(choice["logprobs"]["top_logprobs"][0]) == 4


async def test_ids_beyond_the_tokenizer_have_names_and_no_text(served: Served) -> None:
    served.says([298, 299])
    answer = await served.complete(prompt="hello", max_tokens=2, logprobs=0)
    assert answer["choices"][0]["text"] == ""
    assert answer["choices"][0]["logprobs"]["tokens"] == ["<|id:298|>", "<|id:299|>"]


async def test_an_unfinished_character_ends_as_a_replacement(served: Served) -> None:
    served.says(served.ids("a😀")[:-1])
    answer = await served.complete(prompt="hello", max_tokens=16)
    assert answer["choices"][0]["text"] == "a\ufffd"


async def test_what_follows_an_unfinished_character_begins_behind_its_replacement(served: Served) -> None:
    half = served.ids("😀")[:2]
    served.says([*half, *served.ids("ab")])
    answer = await served.complete(prompt="hello", max_tokens=16, logprobs=0)
    (choice,) = answer["choices"]
    assert choice["text"] == "\ufffdab"
    assert choice["logprobs"]["tokens"] == [r"bytes:\xf0", r"bytes:\x9f", "a", "b", "</s>"]
    assert choice["logprobs"]["text_offset"] == [5, 5, 6, 7, 8]
    answer = await served.complete(prompt=[*half, *served.ids("ab")], max_tokens=0, echo=True, logprobs=0)
    assert answer["choices"][0]["logprobs"]["text_offset"] == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("world", "hello "),
        (["zzz", "o w", "q", "x", "y", "z"], "hell"),
        (" worlds", "hello world"),
        (["hello"], ""),
        ([], "hello world"),
        (["d", "ld"], "hello wor"),
    ],
)
async def test_a_stop_string_ends_the_text_and_is_not_shown(served: Served, stop: object, text: str) -> None:
    served.says("hello world")
    body = {"prompt": "hello", "max_tokens": 2, "stop": stop}
    answer = await served.complete(**body)
    chunks = await served.stream(**body)
    assert answer["choices"][0]["text"] == text
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == text
    reason = "length" if text == "hello world" else "stop"
    assert answer["choices"][0]["finish_reason"] == reason
    assert chunks[-1]["choices"][0]["finish_reason"] == reason


async def test_a_stop_string_in_the_prompt_does_not_count(served: Served) -> None:
    served.says("a")
    answer = await served.complete(prompt="hello", echo=True, max_tokens=1, stop="hello")
    assert answer["choices"][0] == {"text": "helloa", "index": 0, "logprobs": None, "finish_reason": "length"}


async def test_a_stop_string_frees_the_sample_in_the_engine(served: Served) -> None:
    served.engine.ends = False
    served.says("a!!bcdef", "xyz!!")
    answer = await served.complete(prompt="hello", stop="!!", n=2, max_tokens=9, logprobs=0)
    cancelled = [await served.engine.cancelled.get() for _ in range(2)]
    assert {cancel.sample for cancel in cancelled} == {0, 1}
    first, second = answer["choices"]
    assert (first["text"], first["finish_reason"]) == ("a", "stop")
    assert (second["text"], second["finish_reason"]) == ("xyz", "stop")
    assert first["logprobs"]["text_offset"] == [5, 6, 6]
    assert answer["usage"]["completion_tokens"] == 3 + 5


async def test_the_model_may_be_named_by_the_path(served: Served) -> None:
    for path in (f"/v1/engines/{MODEL}/completions", "/v1/engines/facebook%2Fopt-test/completions"):
        response = await served.client.post(path, json={"prompt": "hello"})
        assert response.status_code == 200
        assert response.json()["model"] == MODEL
    response = await served.client.post("/v1/engines/other/completions", json={"prompt": "hello"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_failure_in_the_engine_is_a_server_error(served: Served) -> None:
    served.engine.failure = "The cache has no room for this request."
    error = await served.refuse(500, prompt="hello")
    assert error == {
        "message": "The cache has no room for this request.",
        "type": "server_error",
        "param": None,
        "code": None,
    }
