"""Cross-origin requests: which web pages may use the API from a browser."""

from __future__ import annotations

import contextlib
import re

from sanic import HTTPResponse, Request
from sanic.exceptions import MethodNotAllowed, NotFound
from sanic.response.types import BaseHTTPResponse

METHODS = ("GET", "HEAD", "POST")
ALLOWED_HEADERS = ("authorization", "content-type", "x-request-id")
EXPOSED_HEADERS = (
    "x-request-id, openai-processing-ms, openai-version, x-openaisle-queue-ms, x-openaisle-compute-ms, "
    "retry-after, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "
    "x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens"
)
HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}")


def preflight(request: Request) -> HTTPResponse:
    """The answer to OPTIONS, which browsers send without a key."""
    # The wildcard would not cover `authorization`, so the names are spelled out. Clients bring
    # headers of their own (x-stainless-os and the like), none of which does any harm here.
    asked = request.headers.get("access-control-request-headers", "").lower().split(",")
    names = [name for name in map(str.strip, asked) if HEADER_NAME.fullmatch(name)]
    methods = ", ".join([*_methods_of(request), "OPTIONS"])
    return HTTPResponse(
        status=204,
        headers={
            "allow": methods,
            "access-control-allow-methods": methods,
            "access-control-allow-headers": ", ".join(dict.fromkeys([*ALLOWED_HEADERS, *names])),
            "access-control-max-age": "86400",
        },
    )


def _methods_of(request: Request) -> list[str]:
    """Those of the route that is asked for, one by one, since the router does not tell them together."""
    known = []
    for method in METHODS:
        with contextlib.suppress(NotFound, MethodNotAllowed):
            request.app.router.get(request.path, method, None)
            known.append(method)
    return known


def add_cors(request: Request, response: BaseHTTPResponse, origins: tuple[str, ...]) -> None:
    """Let the pages of the given origins read the answer; `*` stands for all."""
    if not origins:
        return
    if "*" in origins:
        response.headers["access-control-allow-origin"] = "*"
    else:
        response.headers["vary"] = "Origin"
        origin = request.headers.get("origin", "")
        if origin not in origins:
            return
        response.headers["access-control-allow-origin"] = origin
    response.headers["access-control-expose-headers"] = EXPOSED_HEADERS
