"""The tokenizer's routes, in vLLM's form: their requests read, and their answers as values."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ..errors import InvalidRequest
from .chat_schema import read_messages
from .fields import Fields, is_token_id, parse_object

_TEXT_FIELDS = frozenset({"model", "prompt", "add_special_tokens", "return_token_strs"})
_CHAT_FIELDS = frozenset({"model", "messages", "add_generation_prompt", "return_token_strs"})


@dataclass(frozen=True)
class TokenizeRequest:
    """The body of POST /tokenize: a text."""

    prompt: str
    add_special_tokens: bool
    return_token_strs: bool


@dataclass(frozen=True)
class TokenizeChatRequest:
    """The body of POST /tokenize: a chat."""

    messages: list[dict[str, str]]
    add_generation_prompt: bool
    return_token_strs: bool


@dataclass(frozen=True)
class DetokenizeRequest:
    """The body of POST /detokenize."""

    tokens: list[int]


class Tokenized(msgspec.Struct):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class Detokenized(msgspec.Struct):
    prompt: str


def parse_tokenize(body: bytes, served_model: str) -> TokenizeRequest | TokenizeChatRequest:
    """Read a request for /tokenize.

    Raises:
        InvalidRequest, ModelNotFound
    """
    fields = Fields(parse_object(body))
    fields.optional_model(served_model)
    returns_strings = fields.boolean("return_token_strs", False)
    if fields.values.get("messages") is not None:
        fields.refuse_unknown(_CHAT_FIELDS)
        return TokenizeChatRequest(
            read_messages(fields), fields.boolean("add_generation_prompt", True), returns_strings
        )
    fields.refuse_unknown(_TEXT_FIELDS)
    prompt = fields.optional_string("prompt")
    if prompt is None:
        raise InvalidRequest("You must provide a prompt parameter.", param="prompt")
    return TokenizeRequest(prompt, fields.boolean("add_special_tokens", True), returns_strings)


def parse_detokenize(body: bytes, served_model: str) -> DetokenizeRequest:
    """Read a request for /detokenize.

    Raises:
        InvalidRequest, ModelNotFound
    """
    fields = Fields(parse_object(body))
    fields.refuse_unknown({"model", "tokens"})
    fields.optional_model(served_model)
    tokens = fields.values.get("tokens")
    if not (isinstance(tokens, list) and all(is_token_id(token) for token in tokens)):
        fields.wrong_type("tokens", "array of token ids")
    return DetokenizeRequest(tokens)
