"""The body of a request, within its limits of size and time."""

from __future__ import annotations

import asyncio

from sanic import Request
from sanic.http import Http

from .errors import BodyTimeout, BodyTooLarge

BODY_TIMEOUT_S = 60.0


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: as soon as that is clear.
        BodyTimeout: it did not come within `BODY_TIMEOUT_S`.
    """
    stream = request.stream
    assert isinstance(stream, Http)
    if request.version == "1.0":
        stream.expecting_continue = False  # HTTP/1.0 has no 100 Continue
    if (stream.request_bytes_left or 0) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    try:
        return await asyncio.wait_for(_collect(stream, limit_bytes), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise BodyTimeout("The request body took too long to arrive.") from None


def forgo_body(request: Request) -> None:
    """Do without the body of a client that waits to be asked for it: it gets its answer at once."""
    stream = request.stream
    if isinstance(stream, Http) and stream.expecting_continue:
        stream.expecting_continue = False
        stream.request_body = None
        # Such a client may send the body all the same, which would be taken for its next request.
        stream.keep_alive = False


async def _collect(stream: Http, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
    # Sanic stops reading where much has come at once, and would not see that the client leaves.
    if (transport := stream.protocol.transport) is not None:
        transport.resume_reading()
    return bytes(body)
