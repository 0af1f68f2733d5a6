"""The body of a request, within its limits of size and time."""

from __future__ import annotations

import asyncio
from typing import cast

from sanic import Request
from sanic.http import Http

from .errors import BodyTimeout, BodyTooLarge

BODY_TIMEOUT_S = 60.0


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: as soon as that is clear; before `100 Continue` if the length was announced.
        BodyTimeout: it did not come within `BODY_TIMEOUT_S`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    try:
        return await asyncio.wait_for(_collect(request, limit_bytes), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise BodyTimeout("The request body took too long to arrive.") from None


async def _collect(request: Request, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in cast(Http, request.stream):
        body += chunk
        if len(body) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
    return bytes(body)
