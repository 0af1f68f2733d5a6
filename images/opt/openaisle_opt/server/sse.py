"""Server-sent events: frames of bytes from values."""

from __future__ import annotations

import msgspec

from .schema import encode_json

CONTENT_TYPE = "text/event-stream"
HEADERS = {
    "cache-control": "no-cache",
    # nginx gathers an answer before it passes it on, unless it is told not to.
    "x-accel-buffering": "no",
}
DONE = b"data: [DONE]\n\n"


def frame(value: msgspec.Struct | dict[str, dict[str, str | None]]) -> bytes:
    """One event; JSON has no line breaks of its own, so one line holds it."""
    return b"data: " + encode_json(value) + b"\n\n"
