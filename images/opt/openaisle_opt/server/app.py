"""The HTTP application: one factory, used by the program and by its tests alike."""

from __future__ import annotations

import itertools

from sanic import HTTPResponse, Request, Sanic
from sanic.application.state import ApplicationServerInfo
from sanic.config import Config
from sanic.http.constants import HTTP

from .chat import setup_chat
from .completions import setup_completions
from .context import Context
from .cors import preflight
from .errors import AnswerableRequest, setup_errors
from .health import setup_health
from .metrics import setup_metrics
from .models import setup_models
from .request_id import setup_request_id
from .tokens import setup_tokens

_NEVER_S = 10**9
_numbers = itertools.count(1)


def create_app(context: Context) -> Sanic:
    """An app that answers with what the context's engine gives, once its health says that it is ready."""
    # Sanic keeps a registry of apps by name.
    app = Sanic(
        f"openaisle-opt-{next(_numbers)}",
        config=_config(),
        ctx=context,
        request_class=AnswerableRequest,
        configure_logging=False,
    )
    # Only if it knows the version of HTTP does Sanic leave an empty alt-svc header out.
    app.state.server_info.append(ApplicationServerInfo(settings={"version": HTTP.VERSION_1}))
    setup_request_id(app)
    setup_errors(app)
    setup_completions(app)
    setup_chat(app)
    setup_models(app)
    setup_tokens(app)
    setup_health(app)
    setup_metrics(app)
    _setup_options(app)
    return app


def _config() -> Config:
    config = Config(env_prefix=None)
    config.MOTD = False
    config.ACCESS_LOG = False
    config.AUTO_EXTEND = False
    # From the last byte of a request to the first of its answer: the queue may be long.
    config.RESPONSE_TIMEOUT = _NEVER_S
    config.REQUEST_MAX_HEADER_SIZE = 16384
    return config


def _setup_options(app: Sanic) -> None:
    """OPTIONS for every route."""
    allowed: dict[str, set[str]] = {}
    for route in app.router.routes:
        allowed.setdefault(route.raw_path, set()).update(route.methods)

    for number, (path, methods) in enumerate(allowed.items()):
        allow = ", ".join(sorted(methods | {"OPTIONS"}))

        async def options(request: Request, allow: str = allow, **_: str) -> HTTPResponse:
            return preflight(request, allow)

        app.add_route(options, path, methods=["OPTIONS"], name=f"options_{number}")
