"""A path prefix, for installations that share a host with others."""

from __future__ import annotations

from typing import Any

from sanic import Request


def request_class(prefix: str) -> type[Request]:
    """A kind of request whose path has no prefix: with it and without it, the routes are the same."""
    if not prefix:
        return Request
    start = prefix.encode("ascii")

    class PrefixedRequest(Request):
        def __init__(self, url_bytes: bytes, *arguments: Any, **keywords: Any):
            super().__init__(_without(start, url_bytes), *arguments, **keywords)

    return PrefixedRequest


def _without(prefix: bytes, url: bytes) -> bytes:
    rest = url.removeprefix(prefix)
    if rest == url or rest[:1] not in (b"", b"/", b"?"):
        return url
    return rest if rest[:1] == b"/" else b"/" + rest
