"""OpenAI's JSON to and from the values that the rest of the server works with.

Everything about a request that can be judged without the model is judged here, before the first byte of
an answer; nothing later sees the JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import msgspec

from ..errors import InvalidRequest
from .fields import INT64, Fields, check_unicode, is_token_id, parse_object, shown

MAX_N = 128
MAX_BEST_OF = 20
MAX_LOGPROBS = 5
DEFAULT_MAX_TOKENS = 16


@dataclass(frozen=True)
class CompletionRequest:
    """The body of POST /v1/completions, checked, with its defaults filled in."""

    model: str
    prompts: list[str | list[int]]
    """Empty for a chat, of which a template makes the prompt."""
    max_tokens: int | None
    """None lets the answer of a chat fill the context."""
    temperature: float
    top_p: float
    n: int
    best_of: int
    """Samples drawn for each prompt, of which the `n` likeliest are given back."""
    stream: bool
    include_usage: bool
    logprobs: int | None
    echo: bool
    stop: list[str]
    presence_penalty: float
    frequency_penalty: float
    logit_bias: dict[int, float]
    seed: int | None
    user: str | None


class Logprobs(msgspec.Struct):
    """The four parallel arrays of the completions API."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct):
    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: str | None


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(msgspec.Struct):
    """A whole answer, or one chunk of a streamed one: they have the same shape."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET


class Model(msgspec.Struct):
    id: str
    object: str
    created: int
    owned_by: str
    max_model_len: int | None
    """Longest prompt and completion together, in tokens; None while the model is loading."""


class ModelList(msgspec.Struct):
    object: str
    data: list[Model]


encode_json = msgspec.json.Encoder().encode


def parse_completion(body: bytes, served_model: str, path_model: str | None = None) -> CompletionRequest:
    """Read a request for completions.

    Args:
        body: the JSON as it was sent.
        served_model: the only model that may be asked for.
        path_model: the model that the path names, which then need not be in the body.

    Raises:
        InvalidRequest, ModelNotFound
    """
    fields = Fields(parse_object(body))
    fields.refuse_unknown(_COMPLETION_FIELDS)
    model = fields.model(served_model, path_model)
    if fields.values.get("suffix") is not None:
        raise InvalidRequest("OPT models cannot insert text: please leave 'suffix' out.", param="suffix")
    n = fields.integer("n", 1, 1, MAX_N)
    best_of = _best_of(fields, n)
    echo = fields.boolean("echo", False)
    max_tokens = fields.integer("max_tokens", DEFAULT_MAX_TOKENS, 0, INT64[1])
    if max_tokens == 0 and not echo:
        raise InvalidRequest(
            "You requested a length 0 completion, but you did not set the 'echo' parameter. That means that "
            "we will return no data to you. (HINT: set 'echo' to true in order for the API to echo back the "
            "prompt to you.)",
            param="max_tokens",
        )
    stream = fields.boolean("stream", False)
    if stream and best_of > n:
        raise InvalidRequest(
            f"You requested that the server stream a completion with best_of={best_of} and n={n}; results "
            "can be streamed only if best_of equals n.",
            param="best_of",
        )
    return CompletionRequest(
        model=model,
        prompts=_prompts(fields),
        max_tokens=max_tokens,
        temperature=fields.number("temperature", 1.0, 0, 2),
        top_p=fields.number("top_p", 1.0, 0, 1),
        n=n,
        best_of=best_of,
        stream=stream,
        include_usage=fields.include_usage(stream),
        logprobs=fields.optional_integer("logprobs", 0, MAX_LOGPROBS),
        echo=echo,
        stop=fields.stop(),
        presence_penalty=fields.number("presence_penalty", 0.0, -2, 2),
        frequency_penalty=fields.number("frequency_penalty", 0.0, -2, 2),
        logit_bias=fields.logit_bias(),
        seed=fields.optional_integer("seed", *INT64),
        user=fields.optional_string("user"),
    )


_COMPLETION_FIELDS = frozenset(
    {
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
    }
)


def _best_of(fields: Fields, n: int) -> int:
    # The limit is for samples that are drawn and thrown away: with best_of equal to n there are none.
    best_of = fields.integer("best_of", n, 1, max(MAX_BEST_OF, n))
    if best_of < n:
        raise InvalidRequest(
            f"best_of must be greater than or equal to n, but best_of={best_of} and n={n} - 'best_of'",
            param="best_of",
        )
    return best_of


def _prompts(fields: Fields) -> list[str | list[int]]:
    """The prompts of all four shapes, as a list; an absent one starts a document, as "" does."""
    value = fields.values.get("prompt")
    if value is None:
        return [""]
    if isinstance(value, str):
        return [check_unicode(value, "prompt")]
    if not isinstance(value, list) or not value:
        _wrong_prompt(fields)
    if all(isinstance(item, str) for item in value):
        return [check_unicode(item, "prompt") for item in value]
    lists = value if isinstance(value[0], list) else [value]
    for item in lists:
        if not (isinstance(item, list) and item and all(is_token_id(token) for token in item)):
            _wrong_prompt(fields)
    return lists


def _wrong_prompt(fields: Fields) -> NoReturn:
    raise InvalidRequest(
        f"{shown(fields.values['prompt'])} is not a string, an array of strings, an array of token ids, "
        "or an array of those, none of them empty - 'prompt'",
        param="prompt",
    )
