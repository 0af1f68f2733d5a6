"""The id that names a request in every tier's log, and the headers of every answer."""

from __future__ import annotations

import re
import uuid

from sanic import Request, Sanic
from sanic.response import BaseHTTPResponse

from . import sse
from .access_log import RequestRecord, log_request
from .context import context_of
from .cors import add_cors

_VALID_ID = re.compile(r"[\x21-\x7e]{1,128}")
_QUIET_ROUTES = ("/health/", "/metrics")
_OPENAI_VERSION = "2020-10-01"


def record_of(request: Request) -> RequestRecord:
    """The record of a request, begun when it is first asked for."""
    record: RequestRecord | None = getattr(request.ctx, "record", None)
    if record is None:
        given = request.headers.getone("x-request-id", "")
        record = request.ctx.record = RequestRecord(
            request_id=given if _VALID_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}",
            method=request.method,
            path=request.path,
            key_name=request.headers.getone("x-openaisle-key-name", None),
        )
    return record


def setup_request_id(app: Sanic) -> None:
    """Give every answer its headers, count it, and log it unless it is a stream, which logs its end."""

    async def begin(request: Request) -> None:
        record_of(request)

    async def end(request: Request, response: BaseHTTPResponse) -> None:
        record = record_of(request)
        response.headers["x-request-id"] = record.request_id
        response.headers["openai-version"] = _OPENAI_VERSION
        add_cors(response)
        response.headers["openai-processing-ms"] = str(round(1000 * record.seconds()))
        if record.queue_seconds is not None:
            response.headers["x-openaisle-queue-ms"] = str(round(1000 * record.queue_seconds))
            response.headers["x-openaisle-compute-ms"] = str(round(1000 * (record.compute_seconds() or 0)))
        route = f"/{request.route.path}" if request.route else "unknown"
        context_of(request).metrics.count_answer(route, response.status)
        # A record with a status was logged when its client left.
        if record.status is None and response.content_type != sse.CONTENT_TYPE:
            record.status = response.status
            if not request.path.startswith(_QUIET_ROUTES):
                log_request(record)

    app.register_middleware(begin, "request")
    app.register_middleware(end, "response")
