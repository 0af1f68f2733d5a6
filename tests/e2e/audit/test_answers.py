"""The fields of an answer, and its usage."""

from __future__ import annotations

import time

import pytest

from .tier import END, MODEL, PROMPT, Tier


def test_the_fields_of_an_answer(tier: Tier):
    begun = time.time()
    answer = tier.complete()
    assert answer.keys() == {"id", "object", "created", "model", "system_fingerprint", "choices", "usage"}
    assert answer["id"].startswith("cmpl-")
    assert len(answer["id"]) > 15
    assert answer["object"] == "text_completion"
    assert type(answer["created"]) is int
    assert begun - 2 <= answer["created"] <= time.time() + 1
    assert answer["model"] == MODEL
    assert answer["system_fingerprint"].startswith("fp_")
    (choice,) = answer["choices"]
    assert choice.keys() == {"text", "index", "logprobs", "finish_reason"}


def test_ids_differ_and_the_fingerprint_stays(tier: Tier):
    answers = [tier.complete() for _ in range(3)]
    assert len({answer["id"] for answer in answers}) == 3
    assert len({answer["system_fingerprint"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("fields", "prompts"),
    [
        ({}, 1),
        ({"n": 3}, 1),
        ({"echo": True}, 1),
        ({"prompt": [PROMPT, PROMPT]}, 2),
        ({"prompt": [PROMPT, PROMPT], "n": 2}, 2),
    ],
)
def test_usage_counts_each_prompt_once_and_each_token_made(tier: Tier, fields, prompts: int):
    usage = tier.complete(max_tokens=6, logit_bias=END, **fields)["usage"]
    choices = prompts * fields.get("n", 1)
    assert usage == {
        "prompt_tokens": 5 * prompts,
        "completion_tokens": 6 * choices,
        "total_tokens": 5 * prompts + 6 * choices,
    }


def test_usage_of_a_stop_counts_what_was_made(tier: Tier):
    whole = tier.complete(max_tokens=20, logprobs=0, logit_bias=END)
    text = whole["choices"][0]["text"]
    stopped = tier.complete(max_tokens=20, stop=[text[15:18]], logit_bias=END)
    assert 1 <= stopped["usage"]["completion_tokens"] < 20


def test_the_content_type_is_json(tier: Tier):
    answer = tier.post({"model": MODEL, "prompt": "a", "max_tokens": 1})
    assert answer.headers["content-type"] == "application/json"


def test_text_of_other_scripts_is_utf_8(tier: Tier):
    answer = tier.post({"model": MODEL, "prompt": "é🙂", "max_tokens": 0, "echo": True})
    assert answer.body.decode("utf-8")
    assert answer.json()["choices"][0]["text"] == "é🙂"


def test_the_oldest_form_has_the_model_in_its_path(tier: Tier):
    for model in (MODEL, MODEL.replace("/", "%2F")):
        answer = tier.post({"prompt": PROMPT, "max_tokens": 2}, f"/v1/engines/{model}/completions")
        assert answer.status == 200, answer.body
        assert answer.json()["model"] == MODEL
    assert (
        tier.post({"prompt": PROMPT}, "/v1/engines/none/completions").error(404)["code"] == "model_not_found"
    )


# Models


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/"])
def test_the_list_of_models(tier: Tier, path: str):
    answer = tier.send("GET", path)
    assert answer.status == 200
    value = answer.json()
    assert value["object"] == "list"
    (model,) = value["data"]
    assert (model["id"], model["object"]) == (MODEL, "model")
    assert type(model["created"]) is int
    assert isinstance(model["owned_by"], str)


@pytest.mark.parametrize("model", [MODEL, MODEL.replace("/", "%2F"), MODEL.replace("/", "%2f")])
def test_a_model_is_found_with_its_slash_raw_or_encoded(tier: Tier, model: str):
    answer = tier.send("GET", f"/v1/models/{model}")
    assert answer.status == 200
    assert answer.json()["id"] == MODEL


@pytest.mark.parametrize("model", ["none", "no/such", "no%2Fsuch", "openaisle", "openaisle/tiny-opt/", "%ff"])
def test_an_unknown_model_is_not_found(tier: Tier, model: str):
    error = tier.send("GET", f"/v1/models/{model}").error(404)
    assert error["code"] == "model_not_found"
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "model"


def test_a_path_that_no_file_could_have_is_refused_as_json(tier: Tier):
    answer = tier.send("GET", "/v1/models/%00")
    assert answer.status in (400, 404)
    assert answer.error(answer.status)["type"] == "invalid_request_error"


# Tokens


def test_a_text_becomes_tokens_and_a_text_again(tier: Tier):
    answer = tier.post({"model": MODEL, "prompt": "Zoë 🙂"}, "/tokenize")
    assert answer.status == 200, answer.body
    value = answer.json()
    assert value["count"] == len(value["tokens"])
    assert value["max_model_len"] == 2048
    assert value["tokens"][0] == 2
    bare = tier.post({"prompt": "Zoë 🙂", "add_special_tokens": False}, "/tokenize").json()
    assert bare["tokens"] == value["tokens"][1:]
    back = tier.post({"model": MODEL, "tokens": bare["tokens"]}, "/detokenize")
    assert back.json() == {"prompt": "Zoë 🙂"}


def test_tokens_have_their_texts_on_demand(tier: Tier):
    value = tier.post({"prompt": PROMPT, "return_token_strs": True}, "/tokenize").json()
    assert "".join(value["token_strs"][1:]).replace("Ġ", " ") == PROMPT


def test_what_the_tokenizer_is_comes_quickly(tier: Tier):
    begun = time.monotonic()
    answer = tier.send("GET", "/tokenizer_info")
    assert time.monotonic() - begun < 2
    assert answer.status == 200
    assert answer.json()["tokenizer_class"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/tokenize", {}),
        ("/tokenize", {"prompt": 3}),
        ("/tokenize", {"prompt": ["a"]}),
        ("/tokenize", {"prompt": "a", "add_special_tokens": "yes"}),
        ("/detokenize", {}),
        ("/detokenize", {"tokens": "a"}),
        ("/detokenize", {"tokens": [-1]}),
        ("/detokenize", {"tokens": [2048]}),
        ("/detokenize", {"tokens": [True]}),
    ],
)
def test_what_cannot_be_tokenized_is_refused(tier: Tier, path: str, value: object):
    assert tier.post(value, path).error(400)["type"] == "invalid_request_error"
    assert tier.post({"model": "none", "prompt": "a"}, "/tokenize").error(404)["code"] == "model_not_found"
