"""Whether the server lives and whether it takes requests, for Kubernetes' probes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from sanic import HTTPResponse, Request, Sanic

from ..engine_client import EngineClient
from ..errors import Unavailable
from ..startup import Startup
from .schema import encode_json

STALL_S = 600.0
"""Silence of an engine with work to do after which it counts as dead. The longest honest step is a full
prefill of a large model on a CPU, which takes minutes."""

_RETRY_AFTER_S = 5


@dataclass
class Health(Startup):
    """The state of the server, changed as it starts and ends."""

    num_requests: int = 0
    """Requests for completions between their acceptance and the end of their answer."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while there are none."""

    def __post_init__(self) -> None:
        self.idle.set()

    @contextlib.contextmanager
    def count_request(self) -> Iterator[None]:
        """A request is being answered; the server does not leave before it is.

        Raises:
            Unavailable
        """
        self.check_ready()
        self.num_requests += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.num_requests -= 1
            if not self.num_requests:
                self.idle.set()

    def check_ready(self) -> None:
        """Refuse a request that cannot be served now.

        Raises:
            Unavailable
        """
        if self.is_under_way:
            raise Unavailable(
                f"The model is still loading ({self.words()}). Please try again shortly.",
                retry_after_s=_RETRY_AFTER_S,
            )
        if self.status == "draining":
            raise Unavailable(
                "The server is shutting down and takes no new requests. Please try again.", retry_after_s=1
            )


def setup_health(app: Sanic) -> None:
    """GET /health/live and /health/ready."""

    async def live(request: Request) -> HTTPResponse:
        engine: EngineClient = app.ctx.engine
        silent_s = asyncio.get_running_loop().time() - engine.last_heard
        if engine.num_outstanding and silent_s > STALL_S:
            return _answer(503, {"status": "stalled", "silent_seconds": round(silent_s)})
        return _answer(200, {"status": "live"})

    async def ready(request: Request) -> HTTPResponse:
        health: Health = app.ctx.health
        return _answer(200 if health.status == "ready" else 503, health.answer())

    for handler in (live, ready):
        name = handler.__name__
        app.add_route(handler, f"/health/{name}", methods=["GET", "HEAD"], name=f"health_{name}")


def _answer(status: int, body: dict[str, object]) -> HTTPResponse:
    return HTTPResponse(
        encode_json(body), status, {"cache-control": "no-store"}, content_type="application/json"
    )
