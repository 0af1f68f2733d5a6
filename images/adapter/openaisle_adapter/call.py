"""A request for a model server, as far as the adapter has to understand it (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from .errors import InvalidRequest
from .estimate import estimate_usage
from .usage import NO_TOKENS, Usage

AFFINITY_CHARACTERS = 256
"""As much of a prompt's beginning as decides on its replica."""
ENGINE_PATH = re.compile(r"/v1/engines/(.+)/completions/?")
TOKENIZER_PATH = re.compile(r"/v1(/(?:de)?tokenize|/tokenizer_info)/?")
"""vLLM has these outside /v1, where some clients cannot go, whose base URL ends with /v1."""


@dataclass(frozen=True)
class Call:
    """A request for a model server."""

    method: str
    raw_path: str
    """Path and query as they are sent, still percent-encoded."""
    body: bytes
    model: str | None
    """None: the body does not tell, and any server can say what is wrong with it."""
    affinity: str = ""
    """The beginning of the prompt; see `routing.choose`."""
    user: str | None = None
    """The end user, as the client names them."""
    estimate: Usage = NO_TOKENS
    """What it may cost; see `estimate_usage`."""


def read_call(method: str, raw_path: str, body: bytes, served: Sequence[str]) -> Call:
    """What a request asks of whom, where these models are served.

    Raises:
        InvalidRequest: it names no model.
    """
    path, question_mark, query = raw_path.partition("?")
    if tokenizer_path := TOKENIZER_PATH.fullmatch(path):
        path = tokenizer_path[1]
    fields = _fields(body) if method == "POST" else _first_values(query)
    raw_path = path + question_mark + query
    if fields is None:
        return Call(method, raw_path, body, None)
    user = fields.get("user")
    return Call(
        method,
        raw_path,
        body,
        _model(path, fields, served),
        _beginning(fields),
        user[:128] if isinstance(user, str) else None,
        estimate_usage(fields) if "/completions" in path else NO_TOKENS,
    )


def _fields(body: bytes) -> dict[str, Any] | None:
    """The body's JSON object; None if it is no such thing, which a model server can say best."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _first_values(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def _model(path: str, fields: dict[str, Any], served: Sequence[str]) -> str:
    if engine_path := ENGINE_PATH.fullmatch(path):
        return unquote(engine_path[1])
    model = fields.get("model")
    if model is None and "/completions" not in path and len(served) == 1:
        return served[0]
    if model is None:
        raise InvalidRequest("You must provide a model parameter.", param="model")
    if not isinstance(model, str):
        raise InvalidRequest("Invalid type for 'model': expected a string.", param="model")
    return model


def _beginning(fields: dict[str, Any]) -> str:
    """The beginning of the first prompt, whichever of its four shapes it has, or of a chat."""
    prompt = fields.get("prompt", fields.get("messages"))
    if isinstance(prompt, list):
        first = prompt[0] if prompt else ""
        prompt = first if isinstance(first, str | list) else prompt
    if isinstance(prompt, str):
        return prompt[:AFFINITY_CHARACTERS]
    if isinstance(prompt, list):
        return str(prompt[: AFFINITY_CHARACTERS // 4])[: 4 * AFFINITY_CHARACTERS]
    return ""
