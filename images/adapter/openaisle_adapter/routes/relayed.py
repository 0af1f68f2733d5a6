"""What a model computes: completions, chats, and the routes around its tokenizer."""

from __future__ import annotations

import asyncio

from sanic import Request, Sanic

from ..access_log import CLIENT_LEFT, Record
from ..body import read_body
from ..call import read_call
from ..errors import ApiError, RateLimited

COMPLETIONS = ("/v1/completions", "/v1/chat/completions", "/v1/engines/<engine:path>/completions")
TOKENIZER = ("/tokenize", "/detokenize", "/v1/tokenize", "/v1/detokenize")
TOKENIZER_INFO = ("/tokenizer_info", "/v1/tokenizer_info")


def setup_relayed(app: Sanic) -> None:
    """Add the routes that are relayed to model servers."""
    for path in (*COMPLETIONS, *TOKENIZER):
        _add(app, path, ["POST"])
    for path in TOKENIZER_INFO:
        _add(app, path, ["GET", "HEAD"])


def _add(app: Sanic, path: str, methods: list[str]) -> None:
    # Sanic reads the handler's source for the format of errors, for every route, unless it is told.
    app.add_route(relay, path, methods=methods, stream=True, name=path.replace("/", "-"), error_format="json")


async def relay(request: Request, **_: str) -> None:
    """Check the key, find the model, and let one of its replicas answer."""
    record: Record = request.ctx.record
    context = request.app.ctx
    try:
        with context.metrics.in_flight.track_inprogress():
            record.key = context.keys.name_of(request.headers.get("authorization"))
            body = await read_body(request, context.settings.max_body_bytes)
            call = read_call(request.method, request.raw_url.decode("ascii"), body, context.backends.models())
            record.user = call.user
            if call.model is not None:
                context.backends.require(call.model)
                context.limits.require(record.key, call.model)
                record.model = call.model
            async with context.limits.admit(record.key, call.estimate.total) as admission:
                try:
                    await context.proxy.relay(request, call, record)
                finally:
                    admission.usage = record.usage
    except asyncio.CancelledError:
        if record.outcome == "complete":
            record.outcome, record.status = "client left", CLIENT_LEFT
        context.finish(record)
        raise
    except ApiError as error:
        record.status = error.status
        if isinstance(error, RateLimited):
            context.metrics.count_refusal(record.key, error.limit)
        raise
    if record.relayed:
        context.finish(record)
