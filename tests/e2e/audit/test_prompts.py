"""The four shapes of a prompt, and what is none."""

from __future__ import annotations

import json

import pytest

from .tier import MODEL, Tier

TIERS = ("engine", "adapter")
"""nginx passes bodies on unread."""
IDS = [2, 75, 61, 88]


def test_a_text_alone_and_in_a_list_say_the_same(tier: Tier):
    assert tier.complete(prompt="The fox")["choices"] == tier.complete(prompt=["The fox"])["choices"]


def test_ids_alone_and_in_a_list_say_the_same(tier: Tier):
    assert tier.complete(prompt=IDS)["choices"] == tier.complete(prompt=[IDS])["choices"]


def test_ids_are_taken_as_they_are(tier: Tier):
    for ids in (IDS, IDS[1:], [5], [2]):
        assert tier.complete(prompt=ids)["usage"]["prompt_tokens"] == len(ids)


def test_a_texts_ids_say_the_same_as_the_text(tiers: dict[str, Tier], tier: Tier):
    tokens = tiers["engine"].post({"prompt": "The fox"}, "/tokenize").json()["tokens"]
    assert tier.choice(prompt=tokens) == tier.choice(prompt="The fox")
    assert tier.complete(prompt=tokens)["usage"] == tier.complete(prompt="The fox")["usage"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_prompt_and_none_begin_a_document(tier: Tier, stream: bool):
    answers = []
    for fields in ({"prompt": ""}, {"prompt": None}, {}):
        value = {"model": MODEL, "max_tokens": 8, "temperature": 0, "stream": stream, **fields}
        answer = tier.post(value)
        if stream:
            answers.append("".join(c["text"] for chunk in answer.chunks() for c in chunk["choices"]))
        else:
            assert answer.status == 200, answer.body
            answers.append(answer.json()["choices"][0]["text"])
            assert answer.json()["usage"]["prompt_tokens"] == 1
    assert answers[0]
    assert len(set(answers)) == 1


def test_several_prompts_keep_their_order(tier: Tier):
    prompts = [f"{word} was" for word in ("He", "She", "It", "The king", "The sea", "A bird")]
    answer = tier.complete(prompt=prompts, echo=True, max_tokens=3)
    for index, (prompt, choice) in enumerate(zip(prompts, answer["choices"], strict=True)):
        assert choice["index"] == index
        assert choice["text"].startswith(prompt)
        assert choice["text"] == tier.choice(prompt=prompt, echo=True, max_tokens=3)["text"]


def test_twenty_prompts_go_in_one_request(tier: Tier):
    answer = tier.complete(prompt=["The fox"] * 20, max_tokens=2)
    assert len(answer["choices"]) == 20
    assert len({choice["text"] for choice in answer["choices"]}) == 1


@pytest.mark.parametrize(
    "prompt",
    [
        [],
        [[]],
        ["a", 1],
        [1, "a"],
        [[1], "a"],
        [[1], 2],
        [1, [2]],
        [True],
        [[True]],
        [1.5],
        [1.0],
        [-1],
        [[-1]],
        [2048],
        [[5], [2048]],
        [99999999999999999999],
        [None],
        ["a", None],
        [["a"]],
        {},
        {"text": "a"},
        3,
        True,
        1.5,
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_no_prompt_is_refused(tier: Tier, prompt: object, stream: bool):
    error = tier.refuse(400, prompt=prompt, stream=stream)
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith("prompt")


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "\n",
        "\x00",
        "a" * 500,
        "é",
        "日本語",
        "🙂👩‍👩‍👧‍👦",
        "\u202e\ufeff\ufffd",
        "</s>",
        "<s></s><pad>",
        "\r\n\t",
        "{}[]\"'\\",
    ],
    ids=ascii,
)
def test_any_text_is_echoed_as_it_was_sent(tier: Tier, text: str):
    assert tier.choice(prompt=text, echo=True, max_tokens=0)["text"] == text
    assert (
        "".join(c["text"] for k in tier.stream(prompt=text, echo=True, max_tokens=0) for c in k["choices"])
        == text
    )


@pytest.mark.parametrize("path", [b"\\ud83d", b"\\ude42", b"\\ude42\\ud83d"])
def test_half_a_surrogate_pair_is_refused(tier: Tier, path: bytes):
    content = b'{"model": "openaisle/tiny-opt", "max_tokens": 1, "prompt": "' + path + b'"}'
    error = tier.send("POST", "/v1/completions", content, {"Content-Type": "application/json"}).error(400)
    assert error["param"] == "prompt"


def test_a_whole_surrogate_pair_is_one_character(tier: Tier):
    content = b'{"model": "openaisle/tiny-opt", "max_tokens": 0, "echo": true, "prompt": "\\ud83d\\ude42"}'
    answer = tier.send("POST", "/v1/completions", content, {"Content-Type": "application/json"})
    assert answer.json()["choices"][0]["text"] == "🙂"
