"""Whatever is sent, the parser either understands it or says in OpenAI's shape why not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openaisle_opt.errors import ApiError
from openaisle_opt.server.chat_schema import parse_chat
from openaisle_opt.server.schema import CompletionRequest, encode_json, parse_completion
from openaisle_opt.server.token_schema import parse_detokenize, parse_tokenize

FIELDS = [
    "model",
    "prompt",
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

NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, -1, 2, 5, 20, 128, 2**63, 10**40]))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(st.characters()), st.just("m"), st.just("\ud800")),
    lambda children: st.one_of(
        st.lists(children, max_size=4), st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=6,
)
PARTS = st.fixed_dictionaries({"type": st.one_of(st.just("text"), VALUES), "text": VALUES})
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.one_of(st.sampled_from(["user", "system", "assistant", "developer"]), VALUES),
        "content": st.one_of(st.text(), st.lists(PARTS, max_size=2), VALUES),
    },
    optional={"name": VALUES, "tool_calls": VALUES, "refusal": st.none()},
)
CHAT_FIELDS = [
    "max_tokens",
    "max_completion_tokens",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "n",
]
BODIES = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=5)), VALUES, max_size=6)


def _parse(body: bytes) -> CompletionRequest | None:
    """The request; None if it was refused as it should be."""
    try:
        return parse_completion(body, "m")
    except ApiError as error:
        refusal = error
    _check(refusal)
    return None


def _check(refusal: ApiError) -> None:
    assert refusal.status in (400, 404)
    described = json.loads(encode_json(refusal.body()))["error"]
    assert set(described) == {"message", "type", "param", "code"}
    assert isinstance(described["message"], str)
    assert len(described["message"]) < 2000


@given(st.binary())
def test_bytes_are_read_or_refused(body: bytes) -> None:
    _parse(body)


@given(BODIES)
def test_json_is_read_or_refused(body: dict[str, Any]) -> None:
    _parse(json.dumps(body).encode())


@given(st.sampled_from(FIELDS), VALUES)
def test_any_value_of_any_field_is_read_or_refused(field: str, value: Any) -> None:
    request = _parse(json.dumps({"model": "m", "prompt": "a", field: value}).encode())
    if request is None:
        return
    assert 0 <= request.temperature <= 2
    assert 0 <= request.top_p <= 1
    assert 1 <= request.n <= request.best_of <= 128
    assert request.max_tokens >= 0
    assert all(abs(bias) <= 100 for bias in request.logit_bias.values())
    assert all(request.stop)
    assert request.prompts
    for prompt in request.prompts:
        assert prompt == "" or prompt


@given(
    st.one_of(VALUES, st.lists(MESSAGES, max_size=3)), st.dictionaries(st.sampled_from(CHAT_FIELDS), VALUES)
)
def test_a_chat_is_read_or_refused(messages: Any, others: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", "messages": messages, **others}).encode()
    try:
        chat = parse_chat(body, "m", has_template=True)
    except ApiError as error:
        _check(error)
        return
    assert chat.messages
    for message in chat.messages:
        assert {"role", "content"} <= set(message) <= {"role", "content", "name"}
        assert all(isinstance(text, str) and text.encode() is not None for text in message.values())
    assert chat.completion.max_tokens is None or chat.completion.max_tokens >= 1
    assert chat.completion.logprobs in (None, *range(21))


@given(VALUES)
def test_the_tokenizers_bodies_are_read_or_refused(value: Any) -> None:
    for parse in (parse_tokenize, parse_detokenize):
        for body in (value, {"prompt": value}, {"tokens": value}):
            try:
                parse(json.dumps(body).encode(), "m")
            except ApiError as error:
                _check(error)
