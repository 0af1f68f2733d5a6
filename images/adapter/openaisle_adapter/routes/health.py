"""What Kubernetes and Prometheus ask. No key is needed."""

from __future__ import annotations

import json

from sanic import HTTPResponse, Request, Sanic

from ..metrics import CONTENT_TYPE


def setup_health(app: Sanic) -> None:
    """Add /health/live, /health/ready and /metrics."""
    app.add_route(live, "/health/live", methods=["GET", "HEAD"])
    app.add_route(ready, "/health/ready", methods=["GET", "HEAD"])
    app.add_route(metrics, "/metrics", methods=["GET", "HEAD"])


async def live(_: Request) -> HTTPResponse:
    """The loop turns, or this would not be answered."""
    return HTTPResponse('{"status":"live"}', content_type="application/json")


async def ready(request: Request) -> HTTPResponse:
    """Whether to send requests here: all models are known, and the program is not about to leave.

    `silence_s` tells how long ago each source of model servers was last heard.
    """
    context = request.app.ctx
    status = "draining" if context.draining else "ready" if context.backends.complete else "starting"
    silence_s = {
        source: None if seconds is None else round(seconds, 1)
        for source, seconds in context.backends.silence_s().items()
    }
    body = {"status": status, "models": context.backends.models(), "silence_s": silence_s}
    return HTTPResponse(
        json.dumps(body), status=200 if status == "ready" else 503, content_type="application/json"
    )


async def metrics(request: Request) -> HTTPResponse:
    """The figures for Prometheus."""
    return HTTPResponse(request.app.ctx.metrics.page(), content_type=CONTENT_TYPE)
