"""Requests as they come in: below a path prefix or not, and with a first line that nobody can read."""

from __future__ import annotations

from typing import Any

from sanic import Request
from sanic.exceptions import BadURL


def request_class(prefix: str) -> type[Request]:
    """A kind of request whose path has no prefix: with it and without it, the routes are the same."""
    start = prefix.encode("ascii")

    class IncomingRequest(Request):
        def __init__(
            self, url_bytes: bytes, headers: Any, version: str, method: str, *others: Any, **more: Any
        ):
            try:
                super().__init__(_without(start, url_bytes), headers, version, method, *others, **more)
            except BadURL:
                # Sanic makes a request without a method to answer one that it cannot read, and would
                # fail if the URL is what it cannot read.
                if method != "NONE":
                    raise
                super().__init__(b"*", headers, version, method, *others, **more)

    return IncomingRequest


def _without(prefix: bytes, url: bytes) -> bytes:
    rest = url.removeprefix(prefix)
    if not prefix or rest == url or rest[:1] not in (b"", b"/", b"?"):
        return url
    return rest if rest[:1] == b"/" else b"/" + rest
