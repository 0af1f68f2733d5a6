"""Begin an answer that is sent as it comes."""

from __future__ import annotations

from collections.abc import Iterator

from sanic import HTTPResponse, Request
from sanic.http import Http, Stage

from . import sse


async def begin_stream(request: Request) -> HTTPResponse:
    """Send the head of a stream of events; events follow by `send`, the end by `eof`."""
    stream = request.stream
    assert isinstance(stream, Http)
    knows_chunks = request.version != "1.0"
    kind = HTTPResponse if knows_chunks else _WithoutChunks
    response = kind(headers=dict(sse.HEADERS), content_type=sse.CONTENT_TYPE)
    if not knows_chunks:
        stream.keep_alive = False
    await request.respond(response)
    await response.send(b"")
    if not knows_chunks:
        _send_without_chunks(stream)
    return response


class _WithoutChunks(HTTPResponse):
    """For a client of HTTP/1.0, which knows no chunks: the answer ends with its connection."""

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        return (header for header in super().processed_headers if header[0] != b"transfer-encoding")


def _send_without_chunks(stream: Http) -> None:
    """Put a plain writer in the place of the one that Sanic has chosen."""

    async def send(data: bytes, end_stream: bool) -> None:
        if data:
            await stream.protocol.send(data)
        if end_stream:
            # As Sanic does it, whatever the type says.
            stream.response_func = None  # type: ignore[assignment]
            stream.stage = Stage.IDLE

    stream.response_func = send
