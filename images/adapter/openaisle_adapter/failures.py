"""Every exception as an answer in OpenAI's shape: the one border between Sanic's errors and ours."""

from __future__ import annotations

import logging

from sanic import HTTPResponse, Request, Sanic, exceptions

from .access_log import record_of
from .body import forgo_body
from .errors import (
    ApiError,
    BodyTimeout,
    BodyTooLarge,
    ExpectationFailed,
    HeaderTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RouteNotFound,
    UpstreamTimeout,
)
from .hints import no_such_route

logger = logging.getLogger(__name__)


def setup_failures(app: Sanic) -> None:
    """Answer all exceptions of handlers, of the router and of the HTTP parser."""
    app.exception(Exception)(_answer)


async def _answer(request: Request, exception: Exception) -> HTTPResponse:
    error = _translate(request, exception)
    if isinstance(error, InternalError):
        logger.error("request %s failed", record_of(request).request_id, exc_info=exception)
    forgo_body(request)
    return HTTPResponse(
        error.body(), status=error.status, headers=error.headers, content_type="application/json"
    )


def _translate(request: Request, exception: Exception) -> ApiError:
    """The most specific first."""
    if isinstance(exception, ApiError):
        return exception
    if isinstance(exception, exceptions.MethodNotAllowed):
        allowed = exception.headers.get("Allow", "").split(", ")
        return MethodNotAllowed(request.method, request.path, sorted([*allowed, "OPTIONS"]))
    if isinstance(exception, exceptions.NotFound):
        return RouteNotFound(no_such_route(request.method, _raw_path(request)))
    if isinstance(exception, exceptions.PayloadTooLarge):
        if request.method == "NONE":
            return HeaderTooLarge("The request line and the headers are too long.")
        return BodyTooLarge(request.app.ctx.settings.max_body_bytes)
    if isinstance(exception, exceptions.RequestTimeout):
        return BodyTimeout("The request took too long to arrive.")
    if isinstance(exception, exceptions.ExpectationFailed):
        return ExpectationFailed("Only the expectation 100-continue is understood.")
    if isinstance(exception, exceptions.ServiceUnavailable):
        return UpstreamTimeout("The model server did not answer in time.")
    if isinstance(exception, exceptions.SanicException) and exception.status_code < 500:
        return InvalidRequest(f"The request is not valid HTTP: {exception}.")
    return InternalError("The server had an error while processing your request. Please try again.")


def _raw_path(request: Request) -> str:
    """The path as it was sent; Sanic takes what follows two slashes for a host."""
    return request.raw_url.decode("latin-1").partition("?")[0]
