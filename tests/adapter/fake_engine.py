"""A model server for tests: a real one on a real port, with the one behaviour that a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeEngine:
    """Keeps what it was sent, and answers with `handler`."""

    def __init__(self, model: str, handler: Handler | None):
        self.model = model
        self.handler = handler or self.complete
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.cancelled = asyncio.Event()
        """Set when a client has left a request that was being answered."""
        self.healthy = True
        self.health: dict[str, object] = {}
        """What it says at /health/ready."""
        self.url = ""

    async def complete(self, _: web.Request) -> web.StreamResponse:
        """A plain answer."""
        return web.json_response({"object": "text_completion", "model": self.model, "choices": []})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        try:
            return await self.handler(request)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _models(self, _: web.Request) -> web.StreamResponse:
        model = {"id": self.model, "object": "model", "created": 7, "owned_by": "fake", "max_model_len": 99}
        return web.json_response({"object": "list", "data": [model]})

    async def _ready(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(self.health, status=200 if self.healthy else 503)

    def app(self) -> web.Application:
        """The routes of the engine's server."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_route("*", "/{path:.*}", self._completions)
        return app


@asynccontextmanager
async def fake_engine(
    model: str = "fake/model", handler: Handler | None = None, port: int = 0
) -> AsyncIterator[FakeEngine]:
    """An engine that serves while the block runs; at its end its connections are cut."""
    engine = FakeEngine(model, handler)
    runner = web.AppRunner(engine.app(), shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    host, bound_port = runner.addresses[0][:2]
    engine.url = f"http://{host}:{bound_port}"
    try:
        yield engine
    finally:
        await runner.cleanup()


def stream_of(*chunks: bytes, gate: asyncio.Event | None = None, die: bool = False) -> Handler:
    """A handler that sends the chunks as an event stream.

    With a `gate` it waits there before the last chunk; with `die` it cuts the connection after it.
    """

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream",
                "x-accel-buffering": "no",
                "cache-control": "no-cache",
            }
        )
        await response.prepare(request)
        for chunk in chunks[:-1]:
            await response.write(chunk)
        if gate is not None:
            await gate.wait()
        await response.write(chunks[-1])
        if die:
            assert request.transport is not None
            request.transport.abort()
        return response

    return handler
