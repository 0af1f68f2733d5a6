"""One line of JSON on stdout for each request."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone

import msgspec

logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


@dataclass
class RequestRecord:
    """What is known about a request when it ends; handlers fill it in as they learn it."""

    request_id: str
    method: str = ""
    path: str = ""
    key_name: str | None = None
    """The name of the client's key, as the gateway gives it; never the key."""
    user: str | None = None
    model: str | None = None
    stream: bool | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    queue_seconds: float | None = None
    """Between the engine's taking the request and its first step."""
    status: int | None = None
    finish_reasons: list[str | None] = field(default_factory=list)
    error: str | None = None
    started_at: float = field(default_factory=time.perf_counter)

    def seconds(self) -> float:
        """Since the request's headers were read."""
        return time.perf_counter() - self.started_at

    def compute_seconds(self) -> float | None:
        """The time that was not spent in the queue; None for what the engine never saw."""
        return None if self.queue_seconds is None else max(0.0, self.seconds() - self.queue_seconds)


def log_request(record: RequestRecord) -> None:
    """Write the line of a request that has ended; what is not known is left out."""
    level = logging.ERROR if (record.status or 0) >= 500 and record.status != 503 else logging.INFO
    if not logger.isEnabledFor(level):
        return
    finish = ",".join(reason or "none" for reason in record.finish_reasons)
    compute_seconds = record.compute_seconds()
    fields = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "level": logging.getLevelName(level).lower(),
        "event": "request",
        "request_id": record.request_id,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "key": record.key_name,
        "user": record.user,
        "model": record.model,
        "stream": record.stream,
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "queue_ms": _milliseconds(record.queue_seconds),
        "compute_ms": _milliseconds(compute_seconds),
        "total_ms": _milliseconds(record.seconds()),
        "finish": finish or None,
        "error": record.error,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    sys.stdout.write(_encode(known).decode() + "\n")
    sys.stdout.flush()


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
