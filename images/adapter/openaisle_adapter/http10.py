"""Answers of unknown length for clients that speak HTTP/1.0, such as Apache Bench.

HTTP/1.0 has no chunks: such an answer ends where its connection does. Sanic sends chunks all the same.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import cast

from sanic import HTTPResponse, Request
from sanic.http import Http, Stage


class WithoutChunks(HTTPResponse):
    """An answer whose head does not announce chunks."""

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        """The headers as they are sent."""
        return (header for header in super().processed_headers if header[0] != b"transfer-encoding")


def end_with_connection(request: Request) -> None:
    """Send the body as it is, once the head is sent; close the connection behind it."""
    stream = cast(Http, request.stream)

    async def send(data: bytes, end_stream: bool) -> None:
        if data:
            await stream.protocol.send(data)
        if end_stream:
            stream.response_func = None  # type: ignore[assignment]
            stream.stage = Stage.IDLE

    stream.response_func = send


def reset(request: Request) -> None:
    """Break the connection so that the client cannot take what it has for a whole answer."""
    transport = cast(asyncio.Transport, request.transport)
    no_wait = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_wait)
    transport.abort()
