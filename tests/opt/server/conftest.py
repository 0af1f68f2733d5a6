"""The app of the program on a real port, in front of an engine that says what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from openaisle_opt.engine_client import EngineClient
from openaisle_opt.errors import EngineError
from openaisle_opt.listen import bind, url_of
from openaisle_opt.protocol import Ready
from openaisle_opt.server.app import create_app
from openaisle_opt.server.context import Context
from openaisle_opt.server.health import Health
from openaisle_opt.server.metrics import Metrics
from openaisle_opt.settings import Settings
from openaisle_opt.tokenizer import OptTokenizer, load_tokenizer
from opt.server.checkpoints import write_tokenizer
from opt.server.fake_engine import READY, FakeEngine
from sanic import Sanic
from sanic.server import HttpProtocol

MODEL = "facebook/opt-test"


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> OptTokenizer:
    return load_tokenizer(tokenizer_folder)


@dataclass
class Served:
    """A running app, its engine, and a client for it."""

    engine: FakeEngine
    client: httpx.AsyncClient
    url: str
    context: Context
    tokenizer: OptTokenizer
    working: asyncio.Task[None] = field(repr=False)

    def says(self, *texts: str | list[int]) -> None:
        """Sample i is answered with texts[i], a text or token ids; the last one serves all others."""
        samples = [self.ids(text) if isinstance(text, str) else text for text in texts]
        self.engine.says = lambda sample: samples[min(sample, len(samples) - 1)]

    def ids(self, text: str) -> list[int]:
        """The token ids of a text, without `</s>` in front."""
        return self.tokenizer._tokenizer.encode(text, add_special_tokens=False).ids

    async def post(self, path: str = "/v1/completions", **body: Any) -> httpx.Response:
        return await self.client.post(path, json={"model": MODEL, **body})

    async def complete(self, **body: Any) -> dict[str, Any]:
        """The answer to a request that has to succeed."""
        response = await self.post(**body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def stream(self, **body: Any) -> list[dict[str, Any]]:
        """The chunks of a stream that has to end with [DONE]."""
        response = await self.post(stream=True, **body)
        assert response.status_code == 200, response.text
        *events, end = response.text.removesuffix("\n\n").split("\n\n")
        assert end == "data: [DONE]"
        return [json.loads(event.removeprefix("data: ")) for event in events]

    async def refuse(self, status: int, **body: Any) -> dict[str, Any]:
        """The error of a request that has to fail with this status, streamed or not."""
        response = await self.post(**body)
        streamed = await self.post(**{**body, "stream": True})
        assert (response.status_code, streamed.status_code) == (status, status), response.text
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return dict(error)


ServeApp = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve_app(tokenizer: OptTokenizer, tmp_path: Path) -> AsyncIterator[ServeApp]:
    """Starts an app in front of a fake engine; all are stopped after the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(ready: Ready = READY, *, loaded: bool = True, **options: Any) -> Served:
            settings = Settings(model=str(tmp_path), served_model_name=MODEL, host="127.0.0.1", **options)
            engine = EngineClient(max_waiting=settings.max_waiting)
            health = Health()
            context = Context(settings, engine, health, Metrics(MODEL, engine, health))
            app = create_app(context)
            # Sanic rewrites its own methods when an app starts: slow, and not to be done twice.
            app.config.TOUCHUP = False
            listener = stack.enter_context(bind("127.0.0.1", 0))
            http = await app.create_server(sock=listener, protocol=HttpProtocol)
            assert http is not None
            await http.startup()
            await http.after_start()
            fake = FakeEngine(ready)
            is_ready = asyncio.Event()

            async def work() -> None:
                with contextlib.suppress(EngineError):
                    await engine.connect(str(tmp_path / "engine.sock"))
                    await engine.run(lambda progress: None, lambda ready: is_ready.set())

            working = asyncio.create_task(work())
            client = httpx.AsyncClient(base_url=url_of(listener), timeout=20, trust_env=False, verify=False)
            if loaded:
                await fake.start(str(tmp_path / "engine.sock"))
                await is_ready.wait()
                context.tokenizer = tokenizer
                context.health.status = "ready"

            async def stop() -> None:
                await client.aclose()
                if loaded:
                    await fake.stop()
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
                engine.close()
                closing = http.close()
                for connection in list(http.connections):
                    connection.abort()
                if closing is not None:
                    await closing
                Sanic.unregister_app(app)

            stack.push_async_callback(stop)
            return Served(fake, client, url_of(listener), context, tokenizer, working)

        yield start


@pytest.fixture
async def served(serve_app: ServeApp) -> Served:
    """An app that is ready."""
    return await serve_app()
