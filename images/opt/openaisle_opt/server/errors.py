"""Every error as an answer in OpenAI's shape; Sanic's own are translated here and nowhere else."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from sanic import HTTPResponse, Request, Sanic, exceptions
from sanic.compat import Header

from ..errors import (
    ApiError,
    BodyTooLarge,
    EngineFailed,
    ExpectationFailed,
    HeadersTooLarge,
    InvalidRequest,
    MethodNotAllowed,
    RequestTimedOut,
    UnknownRoute,
)
from .body import forgo_body
from .hints import no_such_route
from .request_id import record_of
from .schema import encode_json

logger = logging.getLogger(__name__)


class AnswerableRequest(Request):
    """A request that is answered even if its first line cannot be read.

    Sanic makes a request of its own for such an answer, and fails if the URL of it is what could not be read.
    """

    def __init__(
        self, url_bytes: bytes, headers: Header, version: str, method: str, *others: Any, **more: Any
    ):
        try:
            super().__init__(url_bytes, headers, version, method, *others, **more)
        except exceptions.BadURL:
            if method != "NONE":
                raise
            super().__init__(b"*", headers, version, method, *others, **more)


def setup_errors(app: Sanic) -> None:
    """Answer all exceptions of handlers, of the router and of the HTTP parser."""

    async def answer(request: Request, exception: Exception) -> HTTPResponse:
        error = _translate(request, exception)
        forgo_body(request)
        record_of(request).error = error.message
        return HTTPResponse(
            encode_json(error.body()), error.status, error.headers, content_type="application/json"
        )

    app.exception(Exception)(answer)


def _translate(request: Request, exception: Exception) -> ApiError:
    """The most specific exceptions first."""
    if isinstance(exception, ApiError):
        return exception
    if isinstance(exception, exceptions.MethodNotAllowed):
        return MethodNotAllowed(request.method, request.path, ", ".join(_allowed_methods(request)))
    if isinstance(exception, exceptions.NotFound):
        return UnknownRoute(no_such_route(request.method, request.path))
    if isinstance(exception, exceptions.PayloadTooLarge):
        # Bodies have a limit of their own (body.py), so Sanic's is about the headers.
        if request.method == "NONE":
            return HeadersTooLarge("The request line and the headers are too long.")
        return BodyTooLarge("The request body is larger than the limit.")
    if isinstance(exception, exceptions.RequestTimeout):
        return RequestTimedOut("The request did not arrive in time.")
    if isinstance(exception, exceptions.ExpectationFailed):
        return ExpectationFailed("Only the expectation 100-continue is understood.")
    if isinstance(exception, exceptions.SanicException) and exception.status_code < 500:
        return InvalidRequest(f"The request is not valid HTTP: {exception}.")
    logger.error("request %s failed", record_of(request).request_id, exc_info=exception)
    return EngineFailed("The server had an error while processing your request. Please try again.")


def _allowed_methods(request: Request) -> list[str]:
    """Asked of the router one by one, since it does not tell for routes with parameters."""
    allowed = []
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        with contextlib.suppress(exceptions.NotFound, exceptions.MethodNotAllowed):
            request.app.router.get(request.path, method, None)
            allowed.append(method)
    return allowed
