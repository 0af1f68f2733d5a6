"""Which headers go on to the model server, and which come back to the client (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable

HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
"""They speak of one connection only."""
PRIVATE = {"authorization", "cookie", "expect", "host", "content-length"}
"""They are between the client and the adapter."""
OWN = {"x-request-id", "x-openaisle-key-name"}
"""The adapter says these itself."""
SENDABLE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")

Headers = list[tuple[str, str]]


def for_upstream(received: Iterable[tuple[str, str]], request_id: str, key: str) -> Headers:
    """The headers of a request as they go on to a model server."""
    received = list(received)
    dropped = HOP | PRIVATE | OWN | _named_by_connection(received)
    kept = [
        (name, value)
        for name, value in received
        if name.lower() not in dropped and SENDABLE.fullmatch(name) and SENDABLE.fullmatch(value)
    ]
    return [*kept, ("x-request-id", request_id), ("x-openaisle-key-name", key)]


def for_client(received: Iterable[tuple[str, str]]) -> Headers:
    """The headers of an answer as they go back to the client."""
    received = list(received)
    dropped = HOP | {"alt-svc"} | _named_by_connection(received)
    return [(name, value) for name, value in received if name.lower() not in dropped]


def _named_by_connection(headers: Headers) -> set[str]:
    """The headers that a Connection header declares to be for one hop only."""
    values = ",".join(value for name, value in headers if name.lower() == "connection")
    return {name.strip().lower() for name in values.split(",")}
