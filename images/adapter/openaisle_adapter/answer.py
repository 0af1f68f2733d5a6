"""A model server's answer on its way back to the client, byte for byte and as it comes."""

from __future__ import annotations

import asyncio
from typing import cast

import aiohttp
from sanic import Request
from sanic.compat import Header
from sanic.exceptions import RequestCancelled
from sanic.http import Http
from sanic.response import HTTPResponse

from . import headers
from .access_log import Record
from .errors import ApiError, BadGateway, UpstreamTimeout
from .http10 import WithoutChunks, end_with_connection
from .sse import WholeEvents, error_event
from .usage import NO_TOKENS, Meter

BREAKS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""What it looks like when a model server breaks off its answer."""


async def pass_on(
    request: Request, answer: aiohttp.ClientResponse, record: Record, prompt_tokens: int
) -> None:
    """Relay an answer, no faster than the client takes it.

    Args:
        prompt_tokens: what the prompt is taken for where the answer does not say.

    Raises:
        BadGateway, UpstreamTimeout: the answer ended before anything of it was sent.
        RequestCancelled: it ended too early, and the connection to the client is closed.
    """
    is_stream = answer.content_type == "text/event-stream" and "content-encoding" not in answer.headers
    beginning = b""
    if not is_stream and "content-length" in answer.headers:
        # The head goes with the body's beginning; that of a stream goes at once.
        beginning = await _beginning(answer)
        record.first_byte()
    record.relayed = True
    record.status = answer.status
    is_endless = request.version == "1.0" and "content-length" not in answer.headers
    if is_endless:
        cast(Http, request.stream).keep_alive = False
    kind = WithoutChunks if is_endless else HTTPResponse
    response = await request.respond(
        kind(
            status=answer.status,
            headers=Header(headers.for_client(answer.headers.items())),
            content_type=answer.headers.get("content-type", "application/octet-stream"),
        )
    )
    events = WholeEvents()
    meter = Meter()
    meter.watch(beginning)
    try:
        if is_endless:
            await response.send(b"")
            end_with_connection(request)
        await response.send(beginning)
        async for chunk in answer.content.iter_any():
            record.first_byte()
            if data := events.push(chunk) if is_stream else chunk:
                meter.watch(data)
                await response.send(data)
        if rest := events.rest():
            await response.send(rest)
        await response.eof()
    except BREAKS as error:
        record.outcome = "cut"
        if is_stream:
            await response.send(error_event(_broken_off(error)))
        # Without the end that HTTP wants, the client can tell this answer from a finished one.
        transport = cast(asyncio.Transport, request.transport)
        if is_endless and not is_stream:
            transport.abort()
        else:
            transport.close()
        raise RequestCancelled from error
    finally:
        record.usage = meter.usage(prompt_tokens) if answer.status < 300 else NO_TOKENS


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.content.readany()
    except BREAKS as error:
        raise _broken_off(error) from error


def _broken_off(error: Exception) -> ApiError:
    if isinstance(error, asyncio.TimeoutError):
        return UpstreamTimeout("The model server went silent in the middle of its answer.")
    return BadGateway("The model server broke off its answer before the end.")
