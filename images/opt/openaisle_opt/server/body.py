"""Read the body of a request, within its limits of size and time."""

from __future__ import annotations

import asyncio
import contextlib

from sanic import Request
from sanic.exceptions import BadRequest, PayloadTooLarge
from sanic.http import Http

from ..errors import BodyTooLarge, RequestTimedOut, UnsupportedMediaType

_JSON_TYPES = ("application/json", "application/x-www-form-urlencoded", "")
"""curl's `-d` says the second when it is not told otherwise; the body still has to be JSON."""

_BODY_TIMEOUT_S = 60.0
_DISCARDED_BYTES = 64 * 1024 * 1024
_DISCARD_TIMEOUT_S = 5.0


async def read_json_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request that is declared to be JSON, or not declared at all.

    Raises:
        UnsupportedMediaType, BodyTooLarge, RequestTimedOut
    """
    content_type = request.headers.getone("content-type", "")
    if content_type.partition(";")[0].strip().lower() not in _JSON_TYPES:
        raise UnsupportedMediaType(
            f"Unsupported content type {content_type[:100]!r}; please send application/json."
        )
    coding = request.headers.getone("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise UnsupportedMediaType(f"Unsupported content encoding {coding[:100]!r}; please send plain JSON.")
    stream = request.stream
    if not isinstance(stream, Http) or not stream.request_body:
        return b""
    if request.version == "1.0":
        # There was no 100 Continue yet.
        stream.expecting_continue = False
    # Sanic's own limit closes the connection on a client that is still sending, which then never sees
    # the answer; so the limit is applied here, and some of the rest is read and thrown away.
    stream.request_max_size = max_bytes + _DISCARDED_BYTES
    announced = stream.request_bytes_left or 0
    try:
        if announced > max_bytes:
            body = b""
        else:
            body = await asyncio.wait_for(_read(stream, max_bytes), _BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise RequestTimedOut("The body of the request did not arrive in time.") from None
    if max(announced, len(body)) > max_bytes:
        forgo_body(request)
        await _discard(stream)
        raise BodyTooLarge(f"The request body is larger than the limit of {max_bytes} bytes.")
    return body


def forgo_body(request: Request) -> None:
    """Do without the body of a client that waits to be asked for it: it gets its answer at once."""
    stream = request.stream
    if isinstance(stream, Http) and stream.expecting_continue:
        stream.expecting_continue = False
        stream.request_body = None
        # Such a client may send the body all the same, which would be taken for its next request.
        stream.keep_alive = False


async def _read(stream: Http, max_bytes: int) -> bytes:
    """The body, or as much of it as shows that it is too long."""
    body = bytearray()
    async for data in stream:
        body += data
        if len(body) > max_bytes:
            break
    # Sanic stops reading where much has come at once, and would not see that the client leaves.
    if (transport := stream.protocol.transport) is not None:
        transport.resume_reading()
    return bytes(body)


async def _discard(stream: Http) -> None:
    """Read what a client still sends, for a while, so that it comes to read the answer."""
    with contextlib.suppress(asyncio.TimeoutError, BadRequest, PayloadTooLarge):
        await asyncio.wait_for(_drop(stream), _DISCARD_TIMEOUT_S)


async def _drop(stream: Http) -> None:
    num_bytes = 0
    async for data in stream:
        num_bytes += len(data)
        if num_bytes > _DISCARDED_BYTES:
            break
