"""OpenAI's JSON to and from the values that the rest of the server works with.

Everything about a request that can be judged without the model is judged here, before the first byte of
an answer; nothing later sees the JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from ..errors import InvalidRequest, ModelNotFound

MAX_N = 128
MAX_BEST_OF = 20
MAX_LOGPROBS = 5
MAX_STOP_CHARACTERS = 10_000
"""Of all stop strings of a request together."""
DEFAULT_MAX_TOKENS = 16

_INT64 = (-(2**63), 2**63 - 1)
_SHOWN_VALUE_LENGTH = 80


@dataclass(frozen=True)
class CompletionRequest:
    """The body of POST /v1/completions, checked, with its defaults filled in."""

    model: str
    prompts: list[str | list[int]]
    max_tokens: int
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


@dataclass(frozen=True)
class TokenizeRequest:
    """The body of POST /tokenize, in vLLM's form."""

    prompt: str
    add_special_tokens: bool
    return_token_strs: bool


@dataclass(frozen=True)
class DetokenizeRequest:
    """The body of POST /detokenize, in vLLM's form."""

    tokens: list[int]


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


class Tokenized(msgspec.Struct):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class Detokenized(msgspec.Struct):
    prompt: str


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
    fields = _Fields(_parse_object(body))
    fields.refuse_unknown(_COMPLETION_FIELDS)
    model = fields.model(served_model, path_model)
    if fields.values.get("suffix") is not None:
        raise InvalidRequest("OPT models cannot insert text: please leave 'suffix' out.", param="suffix")
    n = fields.integer("n", 1, 1, MAX_N)
    best_of = fields.best_of(n)
    echo = fields.boolean("echo", False)
    max_tokens = fields.integer("max_tokens", DEFAULT_MAX_TOKENS, 0, _INT64[1])
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
        prompts=fields.prompts(),
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
        seed=fields.optional_integer("seed", *_INT64),
        user=fields.optional_string("user"),
    )


def parse_tokenize(body: bytes, served_model: str) -> TokenizeRequest:
    """Read a request for /tokenize.

    Raises:
        InvalidRequest, ModelNotFound
    """
    fields = _Fields(_parse_object(body))
    fields.refuse_unknown({"model", "prompt", "add_special_tokens", "return_token_strs"})
    fields.optional_model(served_model)
    prompt = fields.optional_string("prompt")
    if prompt is None:
        raise InvalidRequest("You must provide a prompt parameter.", param="prompt")
    return TokenizeRequest(
        prompt, fields.boolean("add_special_tokens", True), fields.boolean("return_token_strs", False)
    )


def parse_detokenize(body: bytes, served_model: str) -> DetokenizeRequest:
    """Read a request for /detokenize.

    Raises:
        InvalidRequest, ModelNotFound
    """
    fields = _Fields(_parse_object(body))
    fields.refuse_unknown({"model", "tokens"})
    fields.optional_model(served_model)
    tokens = fields.values.get("tokens")
    if not (isinstance(tokens, list) and all(_is_token_id(token) for token in tokens)):
        fields.wrong_type("tokens", "array of token ids")
    return DetokenizeRequest(tokens)


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


def _parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; what JSON leaves open (NaN, a key given twice) is refused."""
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        _refuse_json(f"byte {error.start} is not UTF-8", error)
    except RecursionError as error:
        _refuse_json("it is nested too deeply", error)
    except ValueError as error:
        _refuse_json(str(error), error)
    if not isinstance(value, dict):
        raise InvalidRequest(f"The body of the request has to be a JSON object, not {_shown(value)}.")
    return value


def _refuse_json(reason: str, error: Exception) -> NoReturn:
    raise InvalidRequest(
        f"We could not parse the JSON body of your request: {reason}. (HINT: the API expects a JSON "
        "payload, but what was sent was not valid JSON.)"
    ) from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {_shown(twice)} is given twice")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _shown(value: object) -> str:
    """A value as JSON, in ASCII, and not too much of it."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_VALUE_LENGTH else text[:_SHOWN_VALUE_LENGTH] + "..."


def _is_integer(value: object) -> bool:
    return type(value) is int


def _is_token_id(value: object) -> bool:
    return type(value) is int and value >= 0


def _check_unicode(text: str, param: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"Half of a surrogate pair stands alone at character {error.start} - '{param}'", param=param
        ) from error
    return text


class _Fields:
    """The fields of one body. An explicit null is the same as leaving a field out."""

    def __init__(self, values: dict[str, Any]):
        self.values = values

    def refuse_unknown(self, known: set[str] | frozenset[str]) -> None:
        unknown = [name for name in self.values if name not in known]
        if unknown:
            names = ", ".join(_shown(name)[1:-1] for name in unknown[:10])
            plural = "s" if len(unknown) > 1 else ""
            raise InvalidRequest(
                f"Unrecognized request argument{plural} supplied: {names}", param=_shown(unknown[0])[1:-1]
            )

    def wrong_type(self, name: str, expected: str) -> NoReturn:
        raise InvalidRequest(
            f"{_shown(self.values.get(name))} is not of type '{expected}' - '{name}'", param=name
        )

    def check_range(self, value: float, low: float, high: float, name: str) -> None:
        if value < low:
            raise InvalidRequest(f"{_shown(value)} is less than the minimum of {low} - '{name}'", param=name)
        if value > high:
            raise InvalidRequest(
                f"{_shown(value)} is greater than the maximum of {high} - '{name}'", param=name
            )

    def model(self, served: str, path_model: str | None) -> str:
        name = self.values.get("model") if path_model is None else path_model
        if name is None:
            raise InvalidRequest("You must provide a model parameter.", param="model")
        if not isinstance(name, str):
            raise InvalidRequest("Invalid type for 'model': expected a string.", param="model")
        if name != served:
            raise ModelNotFound(_shown(name)[1:-1])
        return name

    def optional_model(self, served: str) -> None:
        if self.values.get("model") is not None:
            self.model(served, None)

    def optional_string(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            self.wrong_type(name, "string")
        return None if value is None else _check_unicode(value, name)

    def boolean(self, name: str, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong_type(name, "boolean")
        return value

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not _is_integer(value):
            self.wrong_type(name, "integer")
        self.check_range(value, low, high, name)
        return int(value)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.optional_integer(name, low, high)
        return default if value is None else value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.values.get(name)
        if value is None:
            return default
        if not (_is_integer(value) or isinstance(value, float)):
            self.wrong_type(name, "number")
        self.check_range(value, low, high, name)
        return float(value)

    def best_of(self, n: int) -> int:
        # The limit is for samples that are drawn and thrown away: with best_of equal to n there are none.
        best_of = self.integer("best_of", n, 1, max(MAX_BEST_OF, n))
        if best_of < n:
            raise InvalidRequest(
                f"best_of must be greater than or equal to n, but best_of={best_of} and n={n} - 'best_of'",
                param="best_of",
            )
        return best_of

    def include_usage(self, stream: bool) -> bool:
        options = self.values.get("stream_options")
        if options is None:
            return False
        if not isinstance(options, dict):
            self.wrong_type("stream_options", "object")
        if not stream:
            raise InvalidRequest(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                param="stream_options",
            )
        for name, value in options.items():
            if name not in ("include_usage", "include_obfuscation"):
                raise InvalidRequest(
                    f"Unrecognized request argument supplied: stream_options.{_shown(name)[1:-1]}",
                    param="stream_options",
                )
            if value is not None and not isinstance(value, bool):
                raise InvalidRequest(
                    f"{_shown(value)} is not of type 'boolean' - 'stream_options.{name}'",
                    param="stream_options",
                )
        return bool(options.get("include_usage"))

    def stop(self) -> list[str]:
        value = self.values.get("stop")
        if value is None:
            return []
        strings = [value] if isinstance(value, str) else value
        if not (isinstance(strings, list) and all(isinstance(string, str) for string in strings)):
            self.wrong_type("stop", "string or array of strings")
        if "" in strings:
            raise InvalidRequest("A stop string has to have at least one character - 'stop'", param="stop")
        if sum(map(len, strings)) > MAX_STOP_CHARACTERS:
            raise InvalidRequest(
                f"The stop strings have more than {MAX_STOP_CHARACTERS} characters together - 'stop'",
                param="stop",
            )
        return [_check_unicode(string, "stop") for string in strings]

    def logit_bias(self) -> dict[int, float]:
        value = self.values.get("logit_bias")
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong_type("logit_bias", "object")
        biases = {}
        for key, bias in value.items():
            if not (key.isascii() and key.isdigit() and len(key) <= 9):
                raise InvalidRequest(
                    f"{_shown(key)} is not the id of a token - 'logit_bias'", param="logit_bias"
                )
            if not (_is_integer(bias) or isinstance(bias, float)):
                raise InvalidRequest(
                    f"{_shown(bias)} is not of type 'number' - 'logit_bias.{key}'", param="logit_bias"
                )
            self.check_range(bias, -100, 100, "logit_bias")
            biases[int(key)] = float(bias)
        return biases

    def prompts(self) -> list[str | list[int]]:
        """The prompts of all four shapes, as a list; an absent one starts a document, as "" does."""
        value = self.values.get("prompt")
        if value is None:
            return [""]
        if isinstance(value, str):
            return [_check_unicode(value, "prompt")]
        if not isinstance(value, list) or not value:
            self._wrong_prompt()
        if all(isinstance(item, str) for item in value):
            return [_check_unicode(item, "prompt") for item in value]
        lists = value if isinstance(value[0], list) else [value]
        for item in lists:
            if not (isinstance(item, list) and item and all(_is_token_id(token) for token in item)):
                self._wrong_prompt()
        return lists

    def _wrong_prompt(self) -> NoReturn:
        raise InvalidRequest(
            f"{_shown(self.values['prompt'])} is not a string, an array of strings, an array of token ids, "
            "or an array of those, none of them empty - 'prompt'",
            param="prompt",
        )
