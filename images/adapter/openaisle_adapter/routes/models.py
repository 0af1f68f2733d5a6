"""The list of models, and what there is to say about each."""

from __future__ import annotations

import json
from urllib.parse import unquote

from sanic import HTTPResponse, Request, Sanic


def setup_models(app: Sanic) -> None:
    """Add /v1/models and /v1/models/<id>, with the slash of an id raw or percent-encoded."""
    app.add_route(list_models, "/v1/models", methods=["GET", "HEAD"])
    app.add_route(retrieve_model, "/v1/models/<model:path>", methods=["GET", "HEAD"])


async def list_models(request: Request) -> HTTPResponse:
    """All models that the key may use, those that are starting too."""
    context = request.app.ctx
    key = request.ctx.record.key = context.keys.name_of(request.headers.get("authorization"))
    models = context.limits.allowed(key, context.backends.models())
    return _json({"object": "list", "data": await context.catalog.describe_all(models)})


async def retrieve_model(request: Request, model: str) -> HTTPResponse:
    """One model."""
    if not model:
        return await list_models(request)  # a slash too many behind /v1/models
    context = request.app.ctx
    key = request.ctx.record.key = context.keys.name_of(request.headers.get("authorization"))
    model = unquote(model)
    context.backends.require(model)
    context.limits.require(key, model)
    request.ctx.record.model = model
    return _json(await context.catalog.describe(model))


def _json(value: object) -> HTTPResponse:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return HTTPResponse(text, content_type="application/json")
