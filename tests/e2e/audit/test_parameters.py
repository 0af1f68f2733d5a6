"""Every parameter of a completion: null, its range, its kind, and what it does."""

from __future__ import annotations

import json
import math

import pytest

from .tier import END, MODEL, PROMPT, Tier, body

TIERS = ("engine", "adapter")
"""nginx passes bodies on unread."""
OPTIONAL = [
    "suffix",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "best_of",
    "stream",
    "stream_options",
    "logprobs",
    "echo",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "user",
]


@pytest.mark.parametrize("name", OPTIONAL)
def test_null_is_the_default(tier: Tier, name: str):
    answer = tier.complete(**{"seed": 3, name: None})
    assert answer["choices"][0]["logprobs"] is None
    assert answer["usage"]["completion_tokens"] <= 16
    if name not in ("max_tokens", "temperature"):
        assert answer["choices"] == tier.complete()["choices"]


def test_everything_null_at_once(tier: Tier):
    answer = tier.post({"model": MODEL, "prompt": PROMPT, **dict.fromkeys(OPTIONAL)})
    assert answer.status == 200


def test_what_is_not_said_is_the_default(tier: Tier):
    answer = tier.post({"model": MODEL, "prompt": PROMPT, "logit_bias": END})
    assert answer.status == 200
    value = answer.json()
    assert value["usage"]["completion_tokens"] == 16
    assert len(value["choices"]) == 1
    assert value["choices"][0]["finish_reason"] == "length"
    assert not value["choices"][0]["text"].startswith(PROMPT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("max_tokens", value) for value in (-1, "16", 1.5, True, [], {})),
        *(("temperature", value) for value in (-0.1, 2.1, "1", True, [1])),
        *(("top_p", value) for value in (-0.1, 1.1, "1", False)),
        *(("n", value) for value in (0, -1, 129, "2", 1.5, True)),
        *(("best_of", value) for value in (0, -1, 21, "2", 1.5, True)),
        *(("logprobs", value) for value in (-1, 6, "1", 1.5, True, False)),
        *(("echo", value) for value in (1, "true", [])),
        *(("stream", value) for value in (1, "true", {})),
        *(("stop", value) for value in (1, True, {}, [1], [None], ["a", 2])),
        *(("presence_penalty", value) for value in (-2.1, 2.1, "0", True)),
        *(("frequency_penalty", value) for value in (-2.1, 2.1, "0", True)),
        *(("seed", value) for value in (1.5, "1", True, 2**63, -(2**63) - 1)),
        *(("user", value) for value in (1, True, {})),
        *(
            ("logit_bias", value)
            for value in (
                [],
                "5",
                3,
                {"5": "x"},
                {"5": True},
                {"5": 101},
                {"5": -101},
                {"five": 1},
                {"-1": 1},
                {"1.5": 1},
                {"": 1},
                {"999999": 1},
                {"99999999999999999999": 1},
            )
        ),
        *(("stream_options", value) for value in (1, "x", [], {"include_usage": True}, {})),
        ("suffix", "the end"),
        ("suffix", 3),
    ],
    ids=lambda value: json.dumps(value),
)
def test_a_value_that_cannot_be_is_refused_by_name(tier: Tier, name: str, value: object):
    error = tier.refuse(400, **{name: value})
    assert error["type"] == "invalid_request_error"
    assert error["param"] is not None
    assert error["param"].split(".")[0] == name


@pytest.mark.parametrize("name", ["temperature", "top_p", "presence_penalty", "max_tokens", "seed"])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_is_no_number_of_json_is_refused(tier: Tier, name: str, text: str):
    content = json.dumps(body(**{name: "HERE"})).replace('"HERE"', text).encode()
    tier.send("POST", "/v1/completions", content, {"Content-Type": "application/json"}).error(400)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 2},
        {"temperature": 0.0001},
        {"top_p": 0},
        {"top_p": 1},
        {"top_p": 0.001, "temperature": 1},
        {"n": 128, "max_tokens": 1, "temperature": 1},
        {"n": 128, "best_of": 128, "max_tokens": 1},
        {"best_of": 20, "max_tokens": 1},
        {"logprobs": 5},
        {"presence_penalty": -2, "frequency_penalty": 2},
        {"seed": -(2**63)},
        {"seed": 2**63 - 1},
        {"logit_bias": {}},
        {"logit_bias": {"5": 0.5, "6": -100, "7": 100}},
        {"stop": []},
        {"user": ""},
        {"user": "someone@example.org"},
        {"stream": False},
    ],
    ids=json.dumps,
)
def test_a_value_at_the_edge_of_its_range_is_taken(tier: Tier, fields: dict[str, object]):
    answer = tier.complete(**fields)
    assert [choice["index"] for choice in answer["choices"]] == list(range(int(str(fields.get("n", 1)))))


def test_an_unknown_argument_is_named(tier: Tier):
    error = tier.refuse(400, surprise=1)
    assert "Unrecognized request argument supplied: surprise" in error["message"]


# max_tokens


def test_max_tokens_is_kept_to(tier: Tier):
    for wanted in (1, 5, 40):
        answer = tier.complete(max_tokens=wanted, logit_bias=END)
        assert answer["usage"]["completion_tokens"] == wanted
        assert answer["choices"][0]["finish_reason"] == "length"


def test_no_tokens_and_no_echo_is_refused_with_openais_words(tier: Tier):
    error = tier.refuse(400, max_tokens=0)
    assert "You requested a length 0 completion, but you did not set the 'echo' parameter" in error["message"]
    assert error["param"] == "max_tokens"


def test_a_text_is_scored_without_a_token_being_made(tier: Tier):
    answer = tier.complete(max_tokens=0, echo=True, logprobs=1)
    (choice,) = answer["choices"]
    assert choice["text"] == PROMPT
    assert choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 0
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"]
    assert len(choice["logprobs"]["tokens"]) == answer["usage"]["prompt_tokens"]


def test_a_context_that_is_full_to_the_last_token_is_served(tier: Tier):
    answer = tier.complete(prompt=[5] * 2000, max_tokens=48, logit_bias={"2": 100})
    assert answer["usage"]["prompt_tokens"] == 2000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("prompt_tokens", "max_tokens"), [(2000, 49), (3000, 1), (5, 100_000)])
def test_one_token_too_many_is_refused_in_numbers(
    tier: Tier, prompt_tokens: int, max_tokens: int, stream: bool
):
    error = tier.refuse(400, prompt=[5] * prompt_tokens, max_tokens=max_tokens, stream=stream)
    assert error["code"] == "context_length_exceeded"
    assert error["param"] in ("prompt", "max_tokens", "messages")
    assert error["message"].startswith(
        "This model's maximum context length is 2048 tokens, however you requested "
        f"{prompt_tokens + max_tokens} tokens ({prompt_tokens} in your prompt; {max_tokens} for the "
        "completion)."
    )


# sampling


def test_temperature_0_is_the_likeliest_whatever_seed_and_top_p(tier: Tier):
    expected = tier.choice(max_tokens=24)
    for fields in ({"seed": 1}, {"seed": 2}, {"top_p": 0.1}, {"top_p": 0}):
        assert tier.choice(max_tokens=24, **fields) == expected


def test_top_p_0_is_the_likeliest_whatever_temperature(tier: Tier):
    expected = tier.choice(max_tokens=24)
    assert tier.choice(max_tokens=24, top_p=0, temperature=1.5, seed=4) == expected


def test_a_seed_gives_the_same_text_and_another_seed_another(tier: Tier):
    texts = [tier.choice(temperature=1, max_tokens=24, seed=seed)["text"] for seed in (7, 7, 8)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_without_a_seed_texts_differ(tier: Tier):
    texts = {tier.choice(temperature=1, max_tokens=24)["text"] for _ in range(4)}
    assert len(texts) > 1


def test_samples_differ_though_they_share_a_seed_and_come_again(tier: Tier):
    first, second = (
        [c["text"] for c in tier.complete(n=3, temperature=1, seed=5, max_tokens=24)["choices"]]
        for _ in range(2)
    )
    assert len(set(first)) == 3
    assert first == second


def test_a_bias_of_100_forces_a_token_and_of_minus_100_bans_it(tier: Tier):
    forced = tier.choice(logit_bias={"50": 100}, logprobs=0, max_tokens=4)
    assert len(set(forced["logprobs"]["tokens"])) == 1
    usual = tier.choice(prompt="Once upon a", max_tokens=1)["text"]
    assert usual == " time"
    (token,) = tier.post({"prompt": " time", "add_special_tokens": False}, "/tokenize").json()["tokens"]
    assert tier.choice(prompt="Once upon a", max_tokens=1, logit_bias={str(token): -100})["text"] != usual


def test_penalties_count_what_was_generated_and_not_the_prompt(tier: Tier):
    again = "the cat and the cat and the cat and the"
    plain = tier.choice(prompt=again, max_tokens=1)
    assert plain == tier.choice(prompt=again, max_tokens=1, presence_penalty=2, frequency_penalty=2)


def test_a_frequency_penalty_ends_repetition(tier: Tier):
    def most(penalty: float) -> int:
        forced = tier.choice(logit_bias={"50": 20}, frequency_penalty=penalty, logprobs=0, max_tokens=40)
        tokens = forced["logprobs"]["tokens"]
        return max(tokens.count(token) for token in set(tokens))

    assert most(0) == 40
    assert most(2) < 20


# n and best_of


def test_the_index_of_a_choice_is_prompt_times_n_plus_sample(tier: Tier):
    answer = tier.complete(prompt=["One", "Two"], n=2, echo=True, max_tokens=2)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    starts = [choice["text"][:3] for choice in answer["choices"]]
    assert starts == ["One", "One", "Two", "Two"]


def test_best_of_gives_back_the_likeliest_sample(tier: Tier):
    fields = {"temperature": 1, "seed": 11, "max_tokens": 12, "logprobs": 0, "logit_bias": END}
    samples = tier.complete(n=4, **fields)["choices"]
    means = [math.fsum(c["logprobs"]["token_logprobs"]) / len(c["logprobs"]["tokens"]) for c in samples]
    best = samples[means.index(max(means))]
    answer = tier.complete(best_of=4, **fields)
    (choice,) = answer["choices"]
    assert choice["text"] == best["text"]
    assert choice["index"] == 0
    assert answer["usage"]["completion_tokens"] == 48, "all that was generated is counted"


def test_best_of_below_n_is_refused(tier: Tier):
    assert tier.refuse(400, n=3, best_of=2)["param"] == "best_of"


def test_best_of_above_n_cannot_be_streamed_but_equal_can(tier: Tier):
    assert tier.refuse(400, best_of=2, stream=True)["param"] == "best_of"
    chunks = tier.stream(n=2, best_of=2)
    assert {choice["index"] for chunk in chunks for choice in chunk["choices"]} == {0, 1}


# stop


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_is_never_shown_even_if_it_straddles_tokens(tier: Tier, stream: bool):
    text = tier.choice(max_tokens=30)["text"]
    middle = text.index(" ", 8)
    stop = text[middle - 2 : middle + 3]
    if stream:
        chunks = tier.stream(max_tokens=30, stop=stop)
        found = "".join(c["text"] for chunk in chunks for c in chunk["choices"])
        reason = chunks[-1]["choices"][0]["finish_reason"]
    else:
        choice = tier.choice(max_tokens=30, stop=[stop])
        found, reason = choice["text"], choice["finish_reason"]
    assert found == text[: text.index(stop)]
    assert reason == "stop"


def test_a_stop_is_not_looked_for_in_the_prompt(tier: Tier):
    choice = tier.choice(stop="upon", echo=True)
    assert choice["text"].startswith(PROMPT)
    assert len(choice["text"]) > len(PROMPT)


def test_a_stop_is_not_looked_for_across_the_prompts_end(tier: Tier):
    beginning = tier.choice(max_tokens=8)["text"][:3]
    choice = tier.choice(stop="time" + beginning, echo=True)
    assert choice["finish_reason"] == "length"


def test_the_earliest_of_many_stops_wins(tier: Tier):
    text = tier.choice(max_tokens=30)["text"]
    stops = ["@@", "##", "%%", "~~", *(f"no {i}" for i in range(30)), text[20:24], text[10:14]]
    assert tier.choice(max_tokens=30, stop=stops)["text"] == text[: text.index(text[10:14])]


def test_a_stop_that_does_not_come_loses_no_text(tier: Tier):
    text = tier.choice(max_tokens=30)["text"]
    almost = text[-3:] + "@"
    assert tier.choice(max_tokens=30, stop=[almost])["text"] == text
    streamed = tier.stream(max_tokens=30, stop=[almost])
    assert "".join(c["text"] for chunk in streamed for c in chunk["choices"]) == text


def test_the_models_own_end_is_a_stop(tier: Tier):
    answer = tier.complete(logit_bias={"2": 100}, logprobs=0)
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("", "stop")
    assert answer["usage"]["completion_tokens"] in (0, 1)


def test_user_is_not_given_back(tier: Tier):
    assert "someone-unheard-of" not in json.dumps(tier.complete(user="someone-unheard-of"))
