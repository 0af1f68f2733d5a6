"""One request on its way to a model server: which replica, and which other if that one fails."""

from __future__ import annotations

import asyncio

import aiohttp
from sanic import Request

from . import headers
from .access_log import Record
from .answer import pass_on
from .backends import Backends
from .call import Call
from .errors import ApiError, BadGateway, InvalidRequest, Unavailable, UpstreamTimeout
from .hold import Hold
from .startup import Startup, Startups
from .upstream import Upstream

MAX_BREAKS = 3
"""A request that kills every replica it meets must not meet them all."""

_RETRY_S = 2
_RETRY_DOWNLOAD_S = 10
"""A download goes on for minutes or hours."""


class Proxy:
    """Sends calls to replicas and relays their answers."""

    def __init__(self, backends: Backends, upstream: Upstream, hold: Hold, startups: Startups):
        self._backends = backends
        self._upstream = upstream
        self._hold = hold
        self._startups = startups

    async def relay(self, request: Request, call: Call, record: Record) -> None:
        """Answer the request with what a replica says.

        Until the first byte of an answer another replica may be tried; after it never.

        Raises:
            ApiError: nothing has been sent to the client, and no replica can answer.
            RequestCancelled: the connection to the client is closed, in mid-answer.
        """
        sent_headers = headers.for_upstream(request.headers.items(), record.request_id, record.key or "")
        deadline = self._hold.deadline()
        busy: set[str] = set()
        broke: list[str] = []
        while len(broke) < MAX_BREAKS:
            url = await self._replica(call, busy, deadline)
            record.backend = url
            with self._backends.charge(url):
                try:
                    answer = await self._send(url, call, sent_headers)
                except _Disconnected as error:
                    # The connection may have been an old one that the server was just closing.
                    if url in broke:
                        self._backends.set_aside(url, str(error))
                    broke.append(url)
                    continue
                except _Unreachable as error:
                    self._backends.set_aside(url, str(error))
                    continue
                try:
                    if answer.status == 503:
                        self._backends.set_aside(url, "it answered 503")
                    if answer.status in (429, 503) and self._choose(call, busy | {url}):
                        busy.add(url)
                        continue
                    if answer.status == 503 and self._hold.is_open(call.model, deadline):
                        continue
                    await pass_on(request, answer, record, call.estimate.prompt_tokens)
                    return
                finally:
                    answer.close()
        raise _nobody(call, Startup())

    async def _replica(self, call: Call, busy: set[str], deadline: float) -> str:
        """The replica to try next.

        Raises:
            ApiError: there is none, and none has come while the request waited.
        """
        while True:
            url = self._choose(call, busy) or self._choose(call, set())
            if url is not None:
                return url
            if call.model is None:
                raise _nobody(call, Startup())
            # Weights that are still downloaded won't be there in the time that a request may wait.
            startup = await self._startups.of(call.model)
            if startup.is_download or not await self._hold.until_ready(call.model, deadline):
                raise _nobody(call, await self._startups.of(call.model))

    def _choose(self, call: Call, exclude: set[str]) -> str | None:
        return self._backends.choose(call.model, call.affinity, exclude)

    async def _send(self, url: str, call: Call, sent_headers: headers.Headers) -> aiohttp.ClientResponse:
        try:
            return await self._upstream.send(url, call.method, call.raw_path, sent_headers, call.body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _Unreachable(f"it can't be reached ({error})") from error
        except asyncio.TimeoutError as error:
            raise UpstreamTimeout("The model server did not answer in time.") from error
        except (aiohttp.ServerDisconnectedError, OSError) as error:
            raise _Disconnected(f"it closed the connection without an answer ({error})") from error
        except aiohttp.ClientError as error:
            raise BadGateway("The model server's answer is not valid HTTP.") from error


class _Unreachable(Exception):
    """There is no connection to be had to the replica."""


class _Disconnected(Exception):
    """The replica closed the connection before the first byte of its answer."""


def _nobody(call: Call, startup: Startup) -> ApiError:
    if call.model is None:
        return InvalidRequest(
            "We could not parse the JSON body of your request: expected a JSON object with the key `model`."
        )
    state = startup.words or "it is starting, or has failed and will be back"
    return Unavailable(
        f"The model `{call.model}` has no replica that can take a request now: {state}. Please try again.",
        retry_after_s=_RETRY_DOWNLOAD_S if startup.is_download else _RETRY_S,
    )
