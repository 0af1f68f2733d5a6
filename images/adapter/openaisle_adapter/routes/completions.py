"""What a model computes: completions, and the routes around its tokenizer."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast
from urllib.parse import unquote

from sanic import Request, Sanic
from sanic.http import Http

from ..access_log import CLIENT_LEFT, Record
from ..backends import Backends
from ..errors import ApiError, BodyTimeout, BodyTooLarge, InvalidRequest
from ..proxy import Call

BODY_TIMEOUT_S = 60.0
AFFINITY_CHARACTERS = 256
"""As much of a prompt's beginning as decides on its replica."""


def setup_completions(app: Sanic) -> None:
    """Add the routes that are relayed to model servers."""
    for path in ("/v1/completions", "/v1/engines/<engine:path>/completions", "/tokenize", "/detokenize"):
        app.add_route(relay, path, methods=["POST"], stream=True, name=path.replace("/", "-"))
    app.add_route(relay, "/tokenizer_info", methods=["GET"], stream=True, name="tokenizer-info")


async def relay(request: Request, engine: str | None = None) -> None:
    """Check the key, find the model, and let one of its replicas answer."""
    record: Record = request.ctx.record
    context = request.app.ctx
    try:
        with context.metrics.in_flight.track_inprogress():
            record.key = context.keys.name_of(request.headers.get("authorization"))
            body = await _read_body(request, context.settings.max_body_bytes)
            call = _call(request, body, engine, record, context.backends)
            record.model = call.model
            await context.proxy.relay(request, call, record)
    except asyncio.CancelledError:
        if record.outcome == "complete":
            record.outcome, record.status = "client left", CLIENT_LEFT
        context.finish(record)
        raise
    except ApiError as error:
        record.status = error.status
        raise
    if record.relayed:
        context.finish(record)


def _call(request: Request, body: bytes, engine: str | None, record: Record, backends: Backends) -> Call:
    """What to ask of whom.

    Raises:
        ApiError: the request names no model, or none that is served here.
    """
    fields = _fields(body) if request.method == "POST" else {}
    model: str | None = None
    affinity = ""
    if fields is not None:
        model = _model(fields, engine, backends, optional=not request.path.startswith("/v1/"))
        backends.require(model)
        affinity = _beginning(fields.get("prompt"))
        record.user = fields["user"][:128] if isinstance(fields.get("user"), str) else None
    return Call(request.method, request.raw_url.decode("ascii"), body, model, affinity)


def _fields(body: bytes) -> dict[str, Any] | None:
    """The body's JSON object; None if it is no such thing, which a model server can say best."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _model(fields: dict[str, Any], engine: str | None, backends: Backends, *, optional: bool) -> str:
    model = fields.get("model")
    if engine is not None:
        return unquote(engine)
    if model is None and optional and len(backends.models()) == 1:
        return backends.models()[0]
    if model is None:
        raise InvalidRequest("You must provide a model parameter.", param="model")
    if not isinstance(model, str):
        raise InvalidRequest("Invalid type for 'model': expected a string.", param="model")
    return model


def _beginning(prompt: object) -> str:
    """The beginning of the first prompt, whichever of its four shapes it has."""
    if isinstance(prompt, list):
        first = prompt[0] if prompt else ""
        prompt = first if isinstance(first, str | list) else prompt
    if isinstance(prompt, str):
        return prompt[:AFFINITY_CHARACTERS]
    if isinstance(prompt, list):
        return str(prompt[: AFFINITY_CHARACTERS // 4])
    return ""


async def _read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: as soon as that is clear; before `100 Continue` if the length was announced.
        BodyTimeout: it did not come within `BODY_TIMEOUT_S`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    try:
        return await asyncio.wait_for(_collect(request, limit_bytes), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise BodyTimeout("The request body took too long to arrive.") from None


async def _collect(request: Request, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in cast(Http, request.stream):
        body += chunk
        if len(body) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
    return bytes(body)
