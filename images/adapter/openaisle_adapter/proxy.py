"""One request on its way to a model server, and the answer on its way back, byte for byte."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import aiohttp
from sanic import Request
from sanic.compat import Header
from sanic.exceptions import RequestCancelled
from sanic.response import HTTPResponse

from .access_log import Record
from .backends import Backends
from .errors import ApiError, BadGateway, InvalidRequest, Unavailable, UpstreamTimeout
from .sse import WholeEvents, error_event
from .upstream import Upstream

MAX_ATTEMPTS = 3
"""A request that kills every replica it meets must not meet them all."""

BREAKS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)
"""What it looks like when a model server breaks off its answer."""

HOP_HEADERS = {
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
PRIVATE_HEADERS = {"authorization", "cookie", "expect", "host", "content-length"}
OWN_HEADERS = {"x-request-id", "x-openaisle-key-name"}
SENDABLE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


@dataclass(frozen=True)
class Call:
    """A request for a model server."""

    method: str
    raw_path: str
    """Path and query as they are sent, still percent-encoded."""
    body: bytes
    model: str | None
    """None: the body does not tell, and any server can say what is wrong with it."""
    affinity: str = ""
    """The beginning of the prompt; see `routing.choose`."""


class Proxy:
    """Sends calls to replicas and relays their answers."""

    def __init__(self, backends: Backends, upstream: Upstream):
        self._backends = backends
        self._upstream = upstream

    async def relay(self, request: Request, call: Call, record: Record) -> None:
        """Answer the request with what a replica says.

        Until the first byte of an answer another replica may be tried; after it never.

        Raises:
            ApiError: nothing has been sent to the client, and no replica can answer.
            RequestCancelled: the connection to the client is closed, in mid-answer.
        """
        headers = _request_headers(request, record)
        tried: set[str] = set()
        disconnected: set[str] = set()
        for _ in range(MAX_ATTEMPTS):
            url = self._backends.choose(call.model, call.affinity, tried)
            if url is None:
                break
            record.backend = url
            with self._backends.charge(url):
                try:
                    answer = await self._send(url, call, headers)
                except _Disconnected as error:
                    # The connection may have been an old one that the server was just closing.
                    if url in disconnected:
                        self._give_up(url, str(error), tried)
                    disconnected.add(url)
                    continue
                except _Unreachable as error:
                    self._give_up(url, str(error), tried)
                    continue
                try:
                    if answer.status == 503:
                        self._backends.set_aside(url, "it answered 503")
                    if answer.status in (429, 503) and self._others(call, tried | {url}):
                        tried.add(url)
                        continue
                    await _pass_on(request, answer, record)
                    return
                finally:
                    answer.close()
        raise _nobody(call)

    async def _send(self, url: str, call: Call, headers: list[tuple[str, str]]) -> aiohttp.ClientResponse:
        try:
            return await self._upstream.send(url, call.method, call.raw_path, headers, call.body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _Unreachable(f"it can't be reached ({error})") from error
        except asyncio.TimeoutError as error:
            raise UpstreamTimeout("The model server did not answer in time.") from error
        except (aiohttp.ServerDisconnectedError, OSError) as error:
            raise _Disconnected(f"it closed the connection without an answer ({error})") from error
        except aiohttp.ClientError as error:
            raise BadGateway("The model server's answer is not valid HTTP.") from error

    def _give_up(self, url: str, reason: str, tried: set[str]) -> None:
        self._backends.set_aside(url, reason)
        tried.add(url)

    def _others(self, call: Call, tried: set[str]) -> bool:
        return self._backends.choose(call.model, call.affinity, tried) is not None


class _Unreachable(Exception):
    """There is no connection to be had to the replica."""


class _Disconnected(Exception):
    """The replica closed the connection before the first byte of its answer."""


async def _pass_on(request: Request, answer: aiohttp.ClientResponse, record: Record) -> None:
    """Relay an answer as it comes, no faster than the client takes it.

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
    response = await request.respond(
        HTTPResponse(
            status=answer.status,
            headers=_response_headers(answer),
            content_type=answer.headers.get("content-type", "application/octet-stream"),
        )
    )
    events = WholeEvents()
    try:
        await response.send(beginning)
        async for chunk in answer.content.iter_any():
            record.first_byte()
            if data := events.push(chunk) if is_stream else chunk:
                await response.send(data)
        if rest := events.rest():
            await response.send(rest)
        await response.eof()
    except BREAKS as error:
        record.outcome = "cut"
        if is_stream:
            await response.send(error_event(_broken_off(error)))
        # Without the end that HTTP wants, the client can tell this answer from a finished one.
        request.transport.close()
        raise RequestCancelled from error


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.content.readany()
    except BREAKS as error:
        raise _broken_off(error) from error


def _broken_off(error: Exception) -> ApiError:
    if isinstance(error, asyncio.TimeoutError):
        return UpstreamTimeout("The model server went silent in the middle of its answer.")
    return BadGateway("The model server broke off its answer before the end.")


def _nobody(call: Call) -> ApiError:
    if call.model is None:
        return InvalidRequest(
            "We could not parse the JSON body of your request: expected a JSON object with the key `model`."
        )
    return Unavailable(
        f"The model `{call.model}` has no replica that can take a request now: it is starting, or has "
        "failed and will be back. Please try again."
    )


def _request_headers(request: Request, record: Record) -> list[tuple[str, str]]:
    dropped = HOP_HEADERS | PRIVATE_HEADERS | OWN_HEADERS | _named_by(request.headers.get("connection"))
    headers = [
        (name, value)
        for name, value in request.headers.items()
        if name.lower() not in dropped and SENDABLE.fullmatch(name) and SENDABLE.fullmatch(value)
    ]
    headers.append(("x-request-id", record.request_id))
    headers.append(("x-openaisle-key-name", record.key or ""))
    return headers


def _response_headers(answer: aiohttp.ClientResponse) -> Header:
    dropped = HOP_HEADERS | {"alt-svc"} | _named_by(answer.headers.get("connection"))
    return Header([(name, value) for name, value in answer.headers.items() if name.lower() not in dropped])


def _named_by(connection: str | None) -> set[str]:
    """The header names that a Connection header declares to be for one hop only."""
    return {name.strip().lower() for name in (connection or "").split(",")}
