"""The Sanic app: its parts, its routes, and what happens around every request."""

from __future__ import annotations

import itertools
import logging
from typing import cast

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import (
    MethodNotAllowed as SanicMethodNotAllowed,
)
from sanic.exceptions import (
    NotFound,
    PayloadTooLarge,
    RequestTimeout,
    SanicException,
    ServiceUnavailable,
)
from sanic.http import Http
from sanic.response.types import BaseHTTPResponse

from . import access_log
from .access_log import Record
from .auth import Keys
from .backends import Backends
from .catalog import Catalog
from .cors import add_cors, preflight
from .errors import (
    ApiError,
    BodyTimeout,
    BodyTooLarge,
    HeaderTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RouteNotFound,
    UpstreamTimeout,
)
from .hints import no_such_route
from .hold import Hold
from .limits import Limits
from .metrics import Metrics
from .prefix import request_class
from .proxy import Proxy
from .routes.health import setup_health
from .routes.models import setup_models
from .routes.pages import setup_pages
from .routes.relayed import setup_relayed
from .settings import Settings
from .upstream import Upstream

OPENAI_VERSION = "2020-10-01"
MAX_DISCARDED_BYTES = 64 * 1024 * 1024
"""How much of a body that is refused is read all the same, so that the client, which is still
sending, gets to see the refusal instead of a broken connection."""
LONGEST_HEADER = 16384

logger = logging.getLogger(__name__)
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
    app.ctx.proxy = Proxy(backends, upstream, hold)
    app.ctx.draining = False
    app.ctx.finish = lambda record: _finish(record, app.ctx.metrics)

    setup_relayed(app)
    setup_models(app)
    setup_health(app)
    setup_pages(app, settings.page_dir)
    app.register_middleware(_begin, "request")
    app.register_middleware(_end, "response")
    app.exception(Exception)(_answer_error)
    return app


async def _begin(request: Request) -> HTTPResponse | None:
    """Open the request's record; answer OPTIONS, which needs neither key nor route."""
    _record(request)
    return preflight(request) if request.method == "OPTIONS" else None


async def _end(request: Request, response: BaseHTTPResponse) -> None:
    """Add the headers that every answer has, and close the record unless the proxy will."""
    record = _record(request)
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


async def _answer_error(request: Request, exception: Exception) -> HTTPResponse:
    error = _as_api_error(request, exception)
    if isinstance(error, InternalError):
        logger.error("request %s failed", _record(request).request_id, exc_info=exception)
    return HTTPResponse(
        error.body(), status=error.status, headers=error.headers, content_type="application/json"
    )


def _as_api_error(request: Request, exception: Exception) -> ApiError:
    """The one border between Sanic's errors and ours, the most specific first."""
    if isinstance(exception, ApiError):
        return exception
    if isinstance(exception, NotFound):
        return RouteNotFound(no_such_route(request.method, _raw_path(request)))
    if isinstance(exception, SanicMethodNotAllowed):
        allowed = exception.headers.get("Allow", "").split(", ")
        return MethodNotAllowed(request.method, request.path, sorted([*allowed, "OPTIONS"]))
    if isinstance(exception, PayloadTooLarge):
        if "header" in str(exception).lower():
            return HeaderTooLarge(f"The head of the request is longer than {LONGEST_HEADER} bytes.")
        return BodyTooLarge(request.app.ctx.settings.max_body_bytes)
    if isinstance(exception, RequestTimeout):
        return BodyTimeout("The request took too long to arrive.")
    if isinstance(exception, ServiceUnavailable):
        return UpstreamTimeout("The model server did not answer in time.")
    if isinstance(exception, SanicException) and exception.status_code < 500:
        return InvalidRequest(str(exception))
    return InternalError("The server had an error while processing your request. Please try again.")


def _raw_path(request: Request) -> str:
    """The path as it was sent; Sanic takes what follows two slashes for a host."""
    return request.raw_url.decode("latin-1").partition("?")[0]


def _record(request: Request) -> Record:
    """The request's record, which is made when it is first asked for."""
    if not hasattr(request.ctx, "record"):
        request.ctx.record = Record(request.method, request.path, request.headers.get("x-request-id"))
    record: Record = request.ctx.record
    return record


def _finish(record: Record, metrics: Metrics) -> None:
    if not record.finished:
        record.finished = True
        metrics.count(record)
        access_log.write(record)
