"""GET /v1/models and /v1/models/<id>."""

from __future__ import annotations

import time
from urllib.parse import unquote

from sanic import HTTPResponse, Request, Sanic

from ..errors import ModelNotFound
from .schema import Model, ModelList, encode_json


def setup_models(app: Sanic) -> None:
    """The routes of the one model that is served; they answer while it loads, too."""
    created = int(time.time())

    def served() -> Model:
        ready = app.ctx.engine.ready
        return Model(
            id=app.ctx.settings.served_model_name,
            object="model",
            created=created,
            owned_by="openaisle",
            max_model_len=ready.max_model_len if ready else None,
        )

    async def list_models(request: Request) -> HTTPResponse:
        return _json(ModelList("list", [served()]))

    async def retrieve_model(request: Request, model: str) -> HTTPResponse:
        # Clients send the slash of an id as it is, or as %2F.
        name = unquote(model)
        if not name:
            return await list_models(request)
        if name != app.ctx.settings.served_model_name:
            raise ModelNotFound(name)
        return _json(served())

    methods = ["GET", "HEAD"]
    app.add_route(list_models, "/v1/models", methods=methods, name="list_models")
    app.add_route(retrieve_model, "/v1/models/<model:path>", methods=methods, name="retrieve_model")


def _json(value: Model | ModelList) -> HTTPResponse:
    return HTTPResponse(encode_json(value), content_type="application/json")
