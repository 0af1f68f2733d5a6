"""The life of the server: listen, load, serve, drain, leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvloop
from sanic import Sanic
from sanic.server import AsyncioServer, HttpProtocol

from .chat_template import ChatTemplate, load_chat_template
from .checkpoint import resolve
from .engine_client import EngineClient
from .errors import EngineError
from .launcher import ENGINE, EngineProcess
from .listen import url_of
from .protocol import Progress, Ready
from .server.app import create_app
from .server.context import Context
from .server.health import Health
from .server.metrics import Metrics
from .settings import Settings
from .startup import Status
from .tokenizer import OptTokenizer, load_tokenizer

logger = logging.getLogger("openaisle_opt")

_FLUSH_S = 5.0
"""How long the last bytes of answers may take to leave."""

_FLUSH_INTERVAL_S = 0.02


def run(
    settings: Settings,
    listener: socket.socket,
    started: tuple[Path, EngineProcess] | None = None,
    engine_target: str = ENGINE,
) -> int:
    """Serve until SIGTERM or SIGINT; a second one ends the process at once. Returns the exit code.

    Args:
        listener: a listening socket.
        started: the model's folder and its engine, if they could be found at once.
        engine_target: what to run in the engine's process otherwise.

    Raises:
        StartError: the model cannot be served, or can no longer.
    """
    server = Server(settings, listener, started, engine_target)
    return uvloop.run(server.run())


class Server:
    """The HTTP server and its engine."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        started: tuple[Path, EngineProcess] | None,
        engine_target: str,
    ):
        self._settings = settings
        self._listener = listener
        self._engine = EngineClient(max_waiting=settings.max_waiting)
        self._health = Health()
        metrics = Metrics(settings.served_model_name, self._engine, self._health)
        self._context = Context(settings, self._engine, self._health, metrics)
        self._app = create_app(self._context)
        self._folder: Path | None = None
        self._process: EngineProcess | None = None
        if started is not None:
            self._folder, self._process = started
        self._engine_target = engine_target
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Listen first, so that probes are answered while the model loads."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        working: asyncio.Task[None] | None = None
        stopped: asyncio.Task[bool] | None = None
        http: AsyncioServer | None = None
        try:
            http = await self._listen()
            working = loop.create_task(self._work())
            stopped = loop.create_task(self._stop.wait())
            await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                self._health.status = "draining"
                await self._drain(0.0)
                working.result()
            logger.info("stopping: running requests may take %g s", self._settings.grace_period_s)
            await self._drain(self._settings.grace_period_s)
            return 0
        finally:
            for task in (working, stopped):
                if task is not None:
                    task.cancel()
            if http is not None:
                await self._close(http)
            self._engine.close()
            if self._process is not None:
                await asyncio.to_thread(self._process.stop)

    def _on_signal(self, number: int) -> None:
        if self._stop.is_set():
            if self._process is not None:
                self._process.kill()
            # Not sys.exit: nothing may delay the end that was asked for twice.
            os._exit(128 + number)
        self._health.status = "draining"
        self._stop.set()

    async def _listen(self) -> AsyncioServer:
        http = await self._app.create_server(sock=self._listener, protocol=HttpProtocol)
        assert http is not None
        await http.startup()
        await http.before_start()
        await http.after_start()
        return http

    async def _work(self) -> None:
        """Load the model and pass the engine's events on, until the engine ends.

        Raises:
            StartError: always, in the end.
        """
        if self._process is None:
            self._move_on("loading", "downloading")
            self._folder = await asyncio.to_thread(
                resolve,
                self._settings.model,
                self._settings.revision,
                self._settings.download_dir,
                self._report_from_thread(),
            )
            self._move_on("downloading", "loading")
            self._process = EngineProcess(self._settings.engine(str(self._folder)), self._engine_target)
        assert self._folder is not None
        loading = asyncio.to_thread(_load_texts, self._folder, self._settings.chat_template)
        texts = asyncio.create_task(loading)
        await self._engine.connect(self._process.socket_path, self._process.why_ended)
        self._context.tokenizer, self._context.chat_template = await texts
        try:
            await self._engine.run(self._on_progress, self._on_ready)
        except EngineError as error:
            raise await asyncio.to_thread(self._why_lost, error) from error

    def _why_lost(self, error: EngineError) -> EngineError:
        """What the engine said itself, else what its exit code tells."""
        assert self._process is not None
        if self._engine.last_words is not None:
            return error
        return EngineError(self._process.why_ended(within_s=_FLUSH_S) or str(error))

    def _on_progress(self, progress: Progress) -> None:
        self._report(progress.phase, progress.fraction)

    def _report(self, phase: str, fraction: float | None) -> None:
        if phase != self._health.phase:
            logger.info("%s", phase)
        self._health.report(phase, fraction)

    def _on_ready(self, ready: Ready) -> None:
        self._move_on("loading", "ready")
        name = self._settings.served_model_name
        logger.info("ready: %s (%s on %s) on %s", name, ready.dtype, ready.device, url_of(self._listener))

    def _move_on(self, before: Status, after: Status) -> None:
        """Change what the server is at, unless it has been told to leave."""
        if self._health.status == before:
            self._health.status = after

    def _report_from_thread(self) -> Callable[[str, float | None], None]:
        loop = asyncio.get_running_loop()

        def report(phase: str, fraction: float | None) -> None:
            loop.call_soon_threadsafe(self._report, phase, fraction)

        return report

    async def _drain(self, grace_period_s: float) -> None:
        """Let running requests finish; those that do not in time end with an error."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._health.idle.wait(), grace_period_s)
        self._engine.fail_all("The server is shutting down and cut this answer short. Please send it again.")

    async def _close(self, http: AsyncioServer) -> None:
        """Close the port and the idle connections, and give the others time for their last bytes."""
        http.close()
        deadline = asyncio.get_running_loop().time() + _FLUSH_S
        while http.connections and asyncio.get_running_loop().time() < deadline:
            for connection in list(http.connections):
                connection.close_if_idle()
            await asyncio.sleep(_FLUSH_INTERVAL_S)
        for connection in list(http.connections):
            connection.abort()
        Sanic.unregister_app(self._app)


def _load_texts(folder: Path, chat_template: str | None) -> tuple[OptTokenizer, ChatTemplate | None]:
    tokenizer = load_tokenizer(folder)
    return tokenizer, load_chat_template(folder, chat_template, tokenizer.special_tokens)
