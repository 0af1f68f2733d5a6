"""The chat completions API: its requests read, and its answers as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import InvalidRequest, NoChatTemplate
from .fields import INT64, Fields, check_unicode, parse_object, shown
from .schema import MAX_N, CompletionRequest, Usage

MAX_TOP_LOGPROBS = 20

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""Roles by the names that templates know."""

_UNSUPPORTED = {
    "tools": "OPT models cannot call tools",
    "tool_choice": "OPT models cannot call tools",
    "functions": "OPT models cannot call functions",
    "function_call": "OPT models cannot call functions",
    "audio": "OPT models answer with text alone",
    "prediction": "Predicted outputs are not supported",
    "web_search_options": "OPT models cannot search the web",
}
_IGNORED = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "safety_identifier",
        "service_tier",
        "store",
        "verbosity",
    }
)
"""What says how OpenAI's own service or its reasoning models go about it, and means nothing here."""

_FIELDS = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "n",
        "stream",
        "stream_options",
        "logprobs",
        "top_logprobs",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "seed",
        "user",
        "modalities",
        "response_format",
        *_UNSUPPORTED,
        *_IGNORED,
    }
)


@dataclass(frozen=True)
class ChatRequest:
    """The body of POST /v1/chat/completions, checked, with its defaults filled in."""

    messages: list[dict[str, str]]
    """As a template wants them: each has a `role` and a `content`, and may have a `name`."""
    completion: CompletionRequest
    """What is wanted of the answer; the prompt comes from the messages by the template."""


class TopToken(msgspec.Struct):
    token: str
    bytes: list[int]
    logprob: float


class ChatToken(msgspec.Struct):
    token: str
    bytes: list[int]
    logprob: float
    top_logprobs: list[TopToken]


class ChatLogprobs(msgspec.Struct):
    content: list[ChatToken]
    refusal: None = None


class Message(msgspec.Struct):
    role: str
    content: str
    refusal: None = None


class Delta(msgspec.Struct, omit_defaults=True):
    role: str | None = None
    content: str | None = None


class ChatChoice(msgspec.Struct):
    index: int
    message: Message
    logprobs: ChatLogprobs | None
    finish_reason: str | None


class ChatChunkChoice(msgspec.Struct):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: str | None


class ChatCompletion(msgspec.Struct):
    """A whole answer, or one chunk of a streamed one."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice] | list[ChatChunkChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET


def parse_chat(body: bytes, served_model: str, *, has_template: bool) -> ChatRequest:
    """Read a request for the next message of a chat.

    Raises:
        InvalidRequest, ModelNotFound
        NoChatTemplate: the model does not chat, so that nothing else in the request matters.
    """
    fields = Fields(parse_object(body))
    model = fields.model(served_model, None)
    if not has_template:
        raise NoChatTemplate(model)
    fields.refuse_unknown(_FIELDS)
    for name, reason in _UNSUPPORTED.items():
        if fields.values.get(name):
            raise InvalidRequest(f"{reason}: please leave '{name}' out.", param=name)
    _check_format(fields)
    stream = fields.boolean("stream", False)
    n = fields.integer("n", 1, 1, MAX_N)
    return ChatRequest(
        messages=read_messages(fields),
        completion=CompletionRequest(
            model=model,
            prompts=[],
            max_tokens=_max_tokens(fields),
            temperature=fields.number("temperature", 1.0, 0, 2),
            top_p=fields.number("top_p", 1.0, 0, 1),
            n=n,
            best_of=n,
            stream=stream,
            include_usage=fields.include_usage(stream),
            logprobs=_logprobs(fields),
            echo=False,
            stop=fields.stop(),
            presence_penalty=fields.number("presence_penalty", 0.0, -2, 2),
            frequency_penalty=fields.number("frequency_penalty", 0.0, -2, 2),
            logit_bias=fields.logit_bias(),
            seed=fields.optional_integer("seed", *INT64),
            user=fields.optional_string("user"),
        ),
    )


def read_messages(fields: Fields) -> list[dict[str, str]]:
    """The messages of a chat, as templates want them.

    Raises:
        InvalidRequest
    """
    values = fields.values.get("messages")
    if values is None:
        raise InvalidRequest("You must provide a messages parameter.", param="messages")
    if not isinstance(values, list):
        fields.wrong_type("messages", "array of messages")
    if not values:
        raise InvalidRequest("[] is too short - 'messages'", param="messages")
    return [_message(value, f"messages[{place}]") for place, value in enumerate(values)]


def _max_tokens(fields: Fields) -> int | None:
    """The limit under either of its names; None lets the answer fill the context."""
    new = fields.optional_integer("max_completion_tokens", 1, INT64[1])
    old = fields.optional_integer("max_tokens", 1, INT64[1])
    if new is not None and old is not None:
        raise InvalidRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_completion_tokens",
        )
    return old if new is None else new


def _logprobs(fields: Fields) -> int | None:
    num_top = fields.optional_integer("top_logprobs", 0, MAX_TOP_LOGPROBS)
    if fields.boolean("logprobs", False):
        return num_top or 0
    if num_top:
        raise InvalidRequest(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    return None


def _check_format(fields: Fields) -> None:
    """Text is all that can be asked for."""
    if fields.values.get("modalities") not in (None, ["text"]):
        raise InvalidRequest('OPT models answer with text alone: please send ["text"].', param="modalities")
    if fields.values.get("response_format") not in (None, {"type": "text"}):
        raise InvalidRequest(
            'Answers cannot be held to a format: please send {"type": "text"}.', param="response_format"
        )


def _message(value: Any, param: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{shown(value)} is not of type 'object' - '{param}'", param=param)
    role = value.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise InvalidRequest(
            f"{shown(role)} is not one of {', '.join(_ROLES)} - '{param}.role'", param=f"{param}.role"
        )
    # Clients send answers back as they came, with the fields that were empty in them.
    for name, content in value.items():
        if content and name not in ("role", "content", "name"):
            raise InvalidRequest(
                f"A message has a role, a content and a name: please leave {shown(name)} out - '{param}'",
                param=param,
            )
    message = {"role": _ROLES[role], "content": _content(value.get("content"), f"{param}.content")}
    name = value.get("name")
    if name is not None:
        if not isinstance(name, str):
            raise InvalidRequest(
                f"{shown(name)} is not of type 'string' - '{param}.name'", param=f"{param}.name"
            )
        message["name"] = check_unicode(name, f"{param}.name")
    return message


def _content(value: Any, param: str) -> str:
    """A text, or parts that are texts: they become paragraphs."""
    if isinstance(value, str):
        return check_unicode(value, param)
    if not isinstance(value, list) or not value:
        raise InvalidRequest(f"{shown(value)} is not a string or an array of parts - '{param}'", param=param)
    return "\n".join(_part(part, param) for part in value)


def _part(value: Any, param: str) -> str:
    text = value.get("text") if isinstance(value, dict) and value.get("type") == "text" else None
    if not isinstance(text, str):
        raise InvalidRequest(
            f"{shown(value)} is no text: every part has to be one of type 'text' - '{param}'", param=param
        )
    return check_unicode(text, param)
