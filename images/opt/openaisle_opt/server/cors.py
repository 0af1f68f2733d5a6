"""Cross-origin requests: pages of any origin may use the API from a browser, since it asks for no key."""

from __future__ import annotations

import re

from sanic import HTTPResponse, Request
from sanic.response import BaseHTTPResponse

_ALLOWED_HEADERS = ("authorization", "content-type", "x-request-id")
_EXPOSED_HEADERS = (
    "x-request-id, openai-processing-ms, openai-version, x-openaisle-queue-ms, x-openaisle-compute-ms, "
    "retry-after"
)
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}")


def preflight(request: Request, allow: str) -> HTTPResponse:
    """The answer to OPTIONS for a route with the methods `allow`."""
    # The wildcard would not cover `authorization`, so the names are spelled out. Clients bring
    # headers of their own (x-stainless-os and the like), none of which does any harm here.
    asked = request.headers.getone("access-control-request-headers", "").lower().split(",")
    names = [name for name in map(str.strip, asked) if _HEADER_NAME.fullmatch(name)]
    return HTTPResponse(
        status=204,
        headers={
            "allow": allow,
            "access-control-allow-methods": allow,
            "access-control-allow-headers": ", ".join(dict.fromkeys([*_ALLOWED_HEADERS, *names])),
            "access-control-max-age": "86400",
        },
    )


def add_cors(response: BaseHTTPResponse) -> None:
    """Let the page that asked read the answer and its headers."""
    response.headers["access-control-allow-origin"] = "*"
    response.headers["access-control-expose-headers"] = _EXPOSED_HEADERS
