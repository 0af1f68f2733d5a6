"""A model server's answer on its way back to the client, byte for byte and as it comes."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import aiohttp
from sanic import Request
from sanic.compat import Header
from sanic.exceptions import RequestCancelled
from sanic.http import Http
from sanic.response import HTTPResponse

from . import headers
from .access_log import Record
from .errors import ApiError, BadGateway, ForeignError, UpstreamTimeout
from .http10 import WithoutChunks, end_with_connection, reset
from .sse import WholeEvents, error_event
from .usage import NO_TOKENS, Meter

logger = logging.getLogger(__name__)

UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""What a stream's head says to proxies in front of us, nginx above all, if the model server does not."""
BREAKS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""What it looks like when a model server breaks off its answer."""


async def pass_on(
    request: Request, answer: aiohttp.ClientResponse, record: Record, prompt_tokens: int
) -> None:
    """Relay an answer, no faster than the client takes it.

    Args:
        prompt_tokens: what the prompt is taken for where the answer does not say.

    Raises:
        ForeignError, BadGateway, UpstreamTimeout: nothing has been sent, since the answer is an error that
            a client of the API could not read, or ended at once.
        RequestCancelled: it ended too early, and the connection to the client is closed.
    """
    if answer.status >= 300 and not answer.content_type.endswith("json"):
        raise _foreign(answer)
    is_stream = answer.content_type == "text/event-stream" and "content-encoding" not in answer.headers
    beginning = b""
    if not is_stream and "content-length" in answer.headers:
        # The head goes with the body's beginning; that of a stream goes at once.
        beginning = await _beginning(answer)
        record.first_byte()
    record.relayed = True
    record.status = answer.status
    is_endless = request.version == "1.0" and "content-length" not in answer.headers
    response = await _begin(request, answer, is_stream, is_endless)
    events = WholeEvents()
    meter = Meter()
    meter.watch(beginning)
    try:
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
        if is_endless and not is_stream:
            reset(request)
        else:
            request.transport.close()
        raise RequestCancelled from error
    finally:
        record.usage = meter.usage(prompt_tokens) if answer.status < 300 else NO_TOKENS


async def _begin(
    request: Request, answer: aiohttp.ClientResponse, is_stream: bool, is_endless: bool
) -> HTTPResponse:
    """Start the client's answer; its head goes with the first piece of the body, or at once if endless."""
    head = Header(headers.for_client(answer.headers.items()))
    for name, value in UNBUFFERED.items() if is_stream else ():
        head.setdefault(name, value)
    content_type = answer.headers.get("content-type", "application/octet-stream")
    if not is_endless:
        return await request.respond(
            HTTPResponse(status=answer.status, headers=head, content_type=content_type)
        )
    cast(Http, request.stream).keep_alive = False
    response = await request.respond(
        WithoutChunks(status=answer.status, headers=head, content_type=content_type)
    )
    await response.send(b"")
    end_with_connection(request)
    return response


def _foreign(answer: aiohttp.ClientResponse) -> ApiError:
    """What to say in the place of an error in HTML or plain text."""
    logger.warning(
        "%s answered with status %d and content of type %s: %s",
        answer.url,
        answer.status,
        answer.content_type,
        answer.reason,
    )
    if answer.status < 400:
        return BadGateway(
            f"The model server answered with a redirection ({answer.status}), which is not followed."
        )
    kept = {name: answer.headers[name] for name in ("retry-after",) if name in answer.headers}
    return ForeignError(answer.status, headers=kept)


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.content.readany()
    except BREAKS as error:
        raise _broken_off(error) from error


def _broken_off(error: Exception) -> ApiError:
    if isinstance(error, asyncio.TimeoutError):
        return UpstreamTimeout("The model server went silent in the middle of its answer.")
    return BadGateway("The model server broke off its answer before the end.")
