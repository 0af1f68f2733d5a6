"""Whatever is asked for: a stream, joined, is the whole answer, and the arrays fit the text."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openaisle_opt.settings import BUNDLED_MODEL_NAME as MODEL
from opt.server.serving import serving

SPECIAL = ("</s>", "<pad>", "<s>", "<unk>")
TOLERANCE = 1e-3
"""Between the same log-probability computed in two batches."""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of a program that serves the bundled model."""
    with serving("--dtype", "float32") as program, httpx.Client(base_url=program.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def odd_ids(client: httpx.Client) -> list[int]:
    """Ids of tokens that are parts of characters, and of special ones."""
    tokens = client.post("/tokenize", json={"prompt": "😀é\u200d日", "add_special_tokens": False}).json()[
        "tokens"
    ]
    return [1, 2, 3, *tokens]


TEXTS = st.one_of(
    st.sampled_from(["", "Once upon a time", "The fox", "naïve 😀", "</s>", "a</s>b", "\n\n", "日本"]),
    st.text(max_size=20).filter(lambda text: text.isprintable() or "\n" in text),
)
IDS = st.lists(st.integers(0, 2000), min_size=1, max_size=12)
PROMPTS = st.one_of(
    TEXTS, IDS, st.lists(TEXTS, min_size=2, max_size=2), st.lists(IDS, min_size=2, max_size=2)
)
STOPS = st.lists(
    st.sampled_from([" ", "e", ".", "he", " the", "\n", ", ", "é", "😀", "ed", "\ufffd", '"', "and", "zzz"]),
    max_size=6,
)
REQUESTS = st.fixed_dictionaries(
    {
        "prompt": PROMPTS,
        "max_tokens": st.integers(1, 24),
        "temperature": st.sampled_from([0, 0.7, 1, 2]),
        "top_p": st.sampled_from([0, 0.5, 1]),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "n": st.integers(1, 3),
        "echo": st.booleans(),
        "logprobs": st.sampled_from([None, 0, 1, 5]),
        "stop": STOPS,
        "frequency_penalty": st.sampled_from([0, 1.5]),
    }
)


def _joined(response: httpx.Response) -> tuple[dict[int, dict[str, Any]], dict[str, int]]:
    """The choices that the chunks of a stream make up, by index, and the usage."""
    *events, end = response.text.removesuffix("\n\n").split("\n\n")
    assert end == "data: [DONE]"
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for event in events:
        chunk = json.loads(event.removeprefix("data: "))
        usage = chunk["usage"]
        for part in chunk["choices"]:
            choice = choices.setdefault(
                part["index"], {"text": "", "index": part["index"], "logprobs": None, "finish_reason": None}
            )
            assert choice["finish_reason"] is None, "something came after the end"
            choice["text"] += part["text"]
            choice["finish_reason"] = part["finish_reason"]
            for name, array in (part["logprobs"] or {}).items():
                choice["logprobs"] = choice["logprobs"] or {}
                gathered = choice["logprobs"].get(name)
                choice["logprobs"][name] = None if array is None else (gathered or []) + array
    assert usage is not None
    return choices, usage


def _same_numbers(left: Any, right: Any) -> None:
    assert (left is None) == (right is None)
    for one, other in zip(left or [], right or [], strict=True):
        if isinstance(one, dict) and isinstance(other, dict):
            # The last of the likeliest may change places with the next one, between two batches.
            assert all(abs(one[token] - other[token]) < TOLERANCE for token in one.keys() & other.keys())
        else:
            assert one == other or abs(one - other) < TOLERANCE


def _check_arrays(choice: dict[str, Any], text: str, num_top: int) -> None:
    """`text` is the prompt and the completion."""
    logprobs = choice["logprobs"]
    tokens, values, offsets = (logprobs[name] for name in ("tokens", "token_logprobs", "text_offset"))
    assert len(tokens) == len(values) == len(offsets)
    assert all(value is None or value <= 0 for value in values)
    assert all(before <= after for before, after in itertools.pairwise(offsets))
    assert all(0 <= offset <= len(text) for offset in offsets)
    for token, offset in zip(tokens, offsets, strict=True):
        if token in SPECIAL or token.startswith(("bytes:", "<|id:")):
            continue
        shown = text[offset : offset + len(token)]
        # A stop string cuts the text within a token.
        assert shown == token or (choice["finish_reason"] == "stop" and token.startswith(shown))
    if not num_top:
        assert logprobs["top_logprobs"] is None
        return
    for token, value, top in zip(tokens, values, logprobs["top_logprobs"], strict=True):
        assert (top is None) == (value is None)
        if top is not None:
            assert top[token] == value
            assert num_top <= len(top) <= num_top + 1


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wanted=REQUESTS, scores_only=st.booleans(), favour_odd=st.booleans())
def test_joined_chunks_are_the_whole_answer_and_the_arrays_fit_it(
    client: httpx.Client, odd_ids: list[int], wanted: dict[str, Any], scores_only: bool, favour_odd: bool
) -> None:
    body = {"model": MODEL, **wanted}
    if scores_only and wanted["echo"]:
        body["max_tokens"] = 0
    if favour_odd:
        body["logit_bias"] = {str(token_id): 8 for token_id in odd_ids}
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200, response.text
    whole = response.json()
    streamed = client.post(
        "/v1/completions", json={**body, "stream": True, "stream_options": {"include_usage": True}}
    )
    assert streamed.status_code == 200, streamed.text
    choices, usage = _joined(streamed)
    assert usage == whole["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]

    prompts = wanted["prompt"]
    if isinstance(prompts, str) or isinstance(prompts[0], int):
        prompts = [prompts]
    assert [choice["index"] for choice in whole["choices"]] == list(range(len(prompts) * wanted["n"]))
    num_entries = 0
    for choice in whole["choices"]:
        other = choices[choice["index"]]
        assert (other["text"], other["finish_reason"]) == (choice["text"], choice["finish_reason"])
        assert choice["finish_reason"] in ("stop", "length")
        prompt = _text_of(client, prompts[choice["index"] // wanted["n"]])
        completion = choice["text"]
        if wanted["echo"]:
            assert completion.startswith(prompt)
            completion = completion[len(prompt) :]
        assert not any(stop in completion for stop in wanted["stop"])
        if wanted["logprobs"] is None:
            assert choice["logprobs"] is None
            continue
        _check_arrays(choice, prompt + completion, wanted["logprobs"])
        for name in ("tokens", "text_offset"):
            assert other["logprobs"][name] == choice["logprobs"][name]
        for name in ("token_logprobs", "top_logprobs"):
            _same_numbers(other["logprobs"][name], choice["logprobs"][name])
        num_entries += len(choice["logprobs"]["tokens"])
    if wanted["logprobs"] is not None:
        echoed = usage["prompt_tokens"] * wanted["n"] if wanted["echo"] else 0
        assert num_entries == usage["completion_tokens"] + echoed


def _text_of(client: httpx.Client, prompt: str | list[int]) -> str:
    """What the prompt is as a text; special tokens among ids are none."""
    if isinstance(prompt, str):
        return prompt
    shown = [token_id for token_id in prompt if token_id > 3]
    text: str = client.post("/detokenize", json={"tokens": shown}).json()["prompt"]
    return text
