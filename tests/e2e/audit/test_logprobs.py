"""Log-probabilities: four parallel arrays, loss-free, with offsets a user can cut the text at."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest

from .tier import END, PROMPT, Tier, body

TIERS = ("engine", "adapter")
"""nginx passes bodies on unread."""
WORDS = "Once upon a time there was a king who lived in a castle by the sea."
STRANGE = "Zoë ate 3 crêpes 🙂 in 東京, \u00a0twice\u2026 naïve"
BEGINNING = "</s>"


def arrays(choice: dict[str, Any]) -> dict[str, Any]:
    """The arrays of a choice, after what holds for all of them was seen to hold."""
    value: dict[str, Any] = choice["logprobs"]
    assert value.keys() == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
    count = len(value["tokens"])
    assert len(value["token_logprobs"]) == count
    assert len(value["text_offset"]) == count
    assert value["top_logprobs"] is None or len(value["top_logprobs"]) == count
    assert value["text_offset"] == sorted(value["text_offset"])
    for logprob in value["token_logprobs"]:
        assert logprob is None or (math.isfinite(logprob) and logprob <= 0)
    return value


@pytest.mark.parametrize("number", range(1, 6))
def test_as_many_top_entries_as_were_asked_for_and_the_chosen_one(tier: Tier, number: int):
    found = arrays(
        tier.choice(prompt=STRANGE, echo=True, max_tokens=12, temperature=1, seed=1, logprobs=number)
    )
    for token, top in itertools.islice(zip(found["tokens"], found["top_logprobs"], strict=True), 1, None):
        assert token in top
        assert len(top) in (number, number + 1)
        # Were entries lost because two ids look alike, the most likely ones would not be enough.
        others = sorted(top.values(), reverse=True)[:number]
        assert len(others) == number
        if len(top) == number + 1:
            assert top[token] == min(top.values())


def test_no_number_asks_for_none(tier: Tier):
    assert tier.choice()["logprobs"] is None


def test_0_is_not_off(tier: Tier):
    found = arrays(tier.choice(logprobs=0, echo=True))
    assert found["top_logprobs"] is None
    assert found["token_logprobs"][0] is None
    assert all(isinstance(value, float) for value in found["token_logprobs"][1:])


def test_the_same_number_stands_in_both_places(tier: Tier):
    answer = tier.post(body(prompt=STRANGE, echo=True, max_tokens=20, temperature=1, seed=2, logprobs=2))
    # As text: a client in any language reads the same digits.
    found = json.loads(answer.body, parse_float=str)["choices"][0]["logprobs"]
    for token, logprob, top in zip(
        found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True
    ):
        assert logprob is None or top[token] == logprob


def test_the_likeliest_token_is_the_one_that_temperature_0_takes(tier: Tier):
    found = arrays(tier.choice(logprobs=3, max_tokens=20))
    for logprob, top in zip(found["token_logprobs"], found["top_logprobs"], strict=True):
        assert logprob == max(top.values())


def test_the_first_token_of_an_echo_has_none_in_both_arrays(tier: Tier):
    for prompt in (PROMPT, [2, 75, 61], [75, 61]):
        found = arrays(tier.choice(prompt=prompt, echo=True, logprobs=2))
        assert found["token_logprobs"][0] is None
        assert found["top_logprobs"][0] is None
        assert None not in found["token_logprobs"][1:]
        assert None not in found["top_logprobs"][1:]


def test_there_is_an_entry_for_each_token_of_prompt_and_completion(tier: Tier):
    answer = tier.complete(echo=True, logprobs=1, max_tokens=9, logit_bias=END)
    found = arrays(answer["choices"][0])
    assert len(found["tokens"]) == answer["usage"]["total_tokens"]
    without = tier.complete(logprobs=1, max_tokens=9, logit_bias=END)
    assert len(arrays(without["choices"][0])["tokens"]) == 9


def test_probabilities_add_up_to_less_than_one(tier: Tier):
    for top in arrays(tier.choice(logprobs=5, max_tokens=20))["top_logprobs"]:
        assert math.fsum(map(math.exp, top.values())) <= 1.0001


def test_a_score_is_the_same_as_when_the_token_was_made(tier: Tier, tiers: dict[str, Tier]):
    made = tier.complete(max_tokens=12, logprobs=1, logit_bias=END)
    text = PROMPT + made["choices"][0]["text"]
    ids = tiers["engine"].post({"prompt": text}, "/tokenize").json()["tokens"]
    scored = tier.choice(prompt=ids, max_tokens=0, echo=True, logprobs=1)["logprobs"]
    assert scored["tokens"][5:] == made["choices"][0]["logprobs"]["tokens"]
    # A bias has no part in the model's own probabilities, beyond what it bans.
    for one, other in zip(
        scored["token_logprobs"][5:], made["choices"][0]["logprobs"]["token_logprobs"], strict=True
    ):
        assert one == pytest.approx(other, abs=0.1)


# offsets


def base_of(text: str, echo: bool) -> int:
    return 0 if echo else len(text)


@pytest.mark.parametrize("prompt", [PROMPT, WORDS, STRANGE, "🙂🙂🙂", ""], ids=ascii)
@pytest.mark.parametrize("stream", [False, True])
def test_offsets_without_echo_begin_at_the_prompts_length_in_code_points(
    tier: Tier, prompt: str, stream: bool
):
    fields = {"prompt": prompt, "logprobs": 1, "max_tokens": 6, "logit_bias": END}
    if stream:
        chunks = tier.stream(**fields)
        offsets = [o for chunk in chunks for c in chunk["choices"] for o in c["logprobs"]["text_offset"]]
    else:
        offsets = arrays(tier.choice(**fields))["text_offset"]
    assert len(offsets) == 6
    assert offsets[0] == len(prompt)


@pytest.mark.parametrize("echo", [False, True])
def test_each_token_stands_where_its_offset_says(tier: Tier, echo: bool):
    choice = tier.choice(prompt=WORDS, echo=echo, logprobs=1, max_tokens=16, logit_bias=END)
    found = arrays(choice)
    whole = choice["text"] if echo else WORDS + choice["text"]
    checked = 0
    for token, offset in zip(found["tokens"], found["text_offset"], strict=True):
        if token != BEGINNING and not token.startswith("bytes:"):
            assert whole[offset : offset + len(token)] == token
            checked += 1
    assert checked >= 16


def test_a_character_of_several_tokens_has_one_offset(tier: Tier):
    found = arrays(tier.choice(prompt="a🙂b", echo=True, max_tokens=0, logprobs=1))
    by_token = list(zip(found["tokens"], found["text_offset"], strict=True))
    assert by_token[0] == (BEGINNING, 0)
    assert by_token[1] == ("a", 0)
    parts = [offset for token, offset in by_token if token.startswith("bytes:")]
    assert len(parts) >= 2
    assert set(parts) == {1}
    assert by_token[-1] == ("b", 2)


def test_the_beginning_of_the_text_has_no_width_and_is_not_shown(tier: Tier):
    choice = tier.choice(echo=True, max_tokens=0, logprobs=1)
    found = arrays(choice)
    assert choice["text"] == PROMPT
    assert found["tokens"][0] == BEGINNING
    assert found["text_offset"][:2] == [0, 0]


def test_special_tokens_among_ids_have_no_width_either(tier: Tier):
    choice = tier.choice(prompt=[2, 75, 2, 75], echo=True, max_tokens=0, logprobs=1)
    found = arrays(choice)
    word = found["tokens"][1]
    assert choice["text"] == word + word
    assert found["text_offset"] == [0, 0, len(word), len(word)]


def test_parts_of_characters_are_told_apart(tier: Tier):
    found = arrays(tier.choice(prompt="é🙂", echo=True, max_tokens=0, logprobs=5))
    parts = [token for token in found["tokens"] if token.startswith("bytes:")]
    assert parts
    joined = "".join(parts).replace("bytes:", "")
    assert bytes.fromhex(joined.replace("\\x", "")).decode() in ("é🙂", "🙂")


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("prompt", [PROMPT, STRANGE])
def test_the_arrays_of_a_stream_are_those_of_the_whole_answer(tier: Tier, echo: bool, prompt: str):
    fields = {"prompt": prompt, "echo": echo, "logprobs": 2, "max_tokens": 12, "logit_bias": END}
    whole = arrays(tier.choice(**fields))
    for name in whole:
        parts = [c["logprobs"][name] for chunk in tier.stream(**fields) for c in chunk["choices"]]
        assert list(itertools.chain.from_iterable(parts)) == whole[name]


def test_no_chat_shape(tier: Tier):
    assert "content" not in tier.choice(logprobs=1)["logprobs"]


# What clients send


def test_the_question_of_lm_evaluation_harness(tier: Tier):
    ids = [[2, 75, 61, 88], [2, 90, 70], [75, 76, 77, 78, 79]]
    answer = tier.complete(prompt=ids, max_tokens=1, temperature=0, logprobs=1, seed=1234, echo=True)
    for choice, asked in zip(sorted(answer["choices"], key=lambda c: c["index"]), ids, strict=True):
        found = arrays(choice)
        assert len(found["token_logprobs"]) == len(asked) + 1
        for logprob, top in zip(found["token_logprobs"][1:-1], found["top_logprobs"][1:-1], strict=True):
            assert logprob in top.values()
            assert logprob <= max(top.values())
