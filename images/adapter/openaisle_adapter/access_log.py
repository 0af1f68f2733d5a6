"""One structured line for each request, and JSON for every other line of the log."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from datetime import datetime, timezone
from typing import Any

from sanic import Request

from .usage import Usage

VALID_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
CLIENT_LEFT = 499
"""The status that is logged, as nginx does, when nobody was there any more to get one."""

logger = logging.getLogger("openaisle_adapter.access")


class Record:
    """What there is to say about one request, gathered on its way."""

    def __init__(self, method: str, path: str, request_id: str | None):
        self.request_id = request_id if request_id and VALID_REQUEST_ID.fullmatch(request_id) else new_id()
        self.method = method
        self.path = path
        self.key: str | None = None
        self.user: str | None = None
        self.model: str | None = None
        self.backend: str | None = None
        self.status: int | None = None
        self.outcome = "complete"
        """`complete`, `client left` or `cut` (the model server broke off in mid-answer)."""
        self.relayed = False
        """The answer comes from a model server; the proxy says when it is over."""
        self.finished = False
        self.usage: Usage | None = None
        """The tokens of the answer, where it lets them be known."""
        self._started = time.perf_counter()
        self.first_byte_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the head of the request was read."""
        return time.perf_counter() - self._started

    def first_byte(self) -> None:
        """Note that the answer's body begins now."""
        if self.first_byte_s is None:
            self.first_byte_s = self.elapsed_s

    def line(self) -> dict[str, Any]:
        """The fields of the log line."""
        return {
            "request_id": self.request_id,
            "key": self.key,
            "user": self.user,
            "method": self.method,
            "path": self.path,
            "model": self.model,
            "status": self.status,
            "outcome": self.outcome,
            "backend": self.backend,
            "prompt_tokens": self.usage and self.usage.prompt_tokens,
            "completion_tokens": self.usage and self.usage.completion_tokens,
            "first_byte_ms": None if self.first_byte_s is None else round(self.first_byte_s * 1000, 1),
            "total_ms": round(self.elapsed_s * 1000, 1),
        }


def record_of(request: Request) -> Record:
    """The request's record, which is made when it is first asked for."""
    if not hasattr(request.ctx, "record"):
        request.ctx.record = Record(request.method, request.path, request.headers.get("x-request-id"))
    record: Record = request.ctx.record
    return record


def new_id() -> str:
    """A request id in the form that OpenAI's have."""
    return f"req_{uuid.uuid4().hex}"


def write(record: Record) -> None:
    """Log a finished request. Kubernetes' own questions would drown the users' requests."""
    level = logging.DEBUG if record.path.startswith(("/health/", "/metrics")) else logging.INFO
    logger.log(level, "request", extra={"fields": record.line()})


class JsonFormatter(logging.Formatter):
    """A log line as one JSON object: time, level, message, and the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one log record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def setup_logging(level: str) -> None:
    """Send everything to stderr as JSON; Sanic's own chatter only from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("sanic").setLevel(logging.WARNING)
