"""The Sanic app: its parts, its routes, and what happens around every request."""

from __future__ import annotations

import itertools
from typing import cast

from sanic import HTTPResponse, Request, Sanic
from sanic.http import Http
from sanic.response.types import BaseHTTPResponse

from . import access_log
from .access_log import Record, record_of
from .auth import Keys
from .backends import Backends
from .catalog import Catalog
from .cors import add_cors, preflight
from .failures import setup_failures
from .hold import Hold
from .incoming import request_class
from .limits import Limits
from .metrics import Metrics
from .proxy import Proxy
from .routes.health import setup_health
from .routes.models import setup_models
from .routes.pages import setup_pages
from .routes.relayed import setup_relayed
from .settings import Settings
from .startup import Startups
from .upstream import Upstream

OPENAI_VERSION = "2020-10-01"
MAX_DISCARDED_BYTES = 64 * 1024 * 1024
"""How much of a body that is refused is read all the same, so that the client, which is still
sending, gets to see the refusal instead of a broken connection."""
LONGEST_HEADER = 16384

_numbers = itertools.count(1)


def create_app(
    settings: Settings, keys: Keys, limits: Limits, backends: Backends, upstream: Upstream
) -> Sanic:
    """The app, ready to be served; its parts are in `app.ctx`."""
    # Sanic wants a name of its own for every app in a process.
    app = Sanic(
        f"openaisle-adapter-{next(_numbers)}",
        request_class=request_class(settings.path_prefix),
        configure_logging=False,
    )
    app.config.update(
        {
            "ACCESS_LOG": False,
            "AUTO_EXTEND": False,
            "MOTD": False,
            "FALLBACK_ERROR_FORMAT": "json",
            "REQUEST_MAX_SIZE": max(settings.max_body_bytes, MAX_DISCARDED_BYTES),
            "REQUEST_MAX_HEADER_SIZE": LONGEST_HEADER,
            # Counted from the last byte sent; the proxy's own limit comes first.
            "RESPONSE_TIMEOUT": settings.wait_s + settings.timeout_s + 60,
        }
    )
    app.ctx.settings = settings
    app.ctx.keys = keys
    app.ctx.limits = limits
    app.ctx.backends = backends
    app.ctx.catalog = Catalog(backends, upstream)
    hold = Hold(backends, settings.wait_s)
    app.ctx.metrics = Metrics(backends, hold)
    app.ctx.proxy = Proxy(backends, upstream, hold, Startups(backends, upstream))
    app.ctx.draining = False
    app.ctx.finish = lambda record: _finish(record, app.ctx.metrics)

    setup_relayed(app)
    setup_models(app)
    setup_health(app)
    setup_pages(app, settings.page_dir)
    app.register_middleware(_begin, "request")
    app.register_middleware(_end, "response")
    setup_failures(app)
    return app


async def _begin(request: Request) -> HTTPResponse | None:
    """Open the request's record; answer OPTIONS, which needs neither key nor route."""
    record_of(request)
    return preflight(request) if request.method == "OPTIONS" else None


async def _end(request: Request, response: BaseHTTPResponse) -> None:
    """Add the headers that every answer has, and close the record unless the proxy will."""
    record = record_of(request)
    context = request.app.ctx
    response.headers.setdefault("x-request-id", record.request_id)
    response.headers.setdefault("openai-version", OPENAI_VERSION)
    response.headers.setdefault("openai-processing-ms", str(round(record.elapsed_s * 1000)))
    if record.key is not None:
        response.headers.update(await context.limits.headers(record.key))
    add_cors(request, response, context.settings.cors_origins)
    if context.draining:
        cast(Http, request.stream).keep_alive = False
    if not record.relayed:
        record.status = response.status
        context.finish(record)


def _finish(record: Record, metrics: Metrics) -> None:
    if not record.finished:
        record.finished = True
        metrics.count(record)
        access_log.write(record)
