"""The running program: socket, background tasks, and an end that cuts nobody off."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, cast

from sanic import Sanic
from sanic.application.state import ApplicationServerInfo
from sanic.http.constants import HTTP, Stage
from sanic.server.async_server import AsyncioServer

from .app import create_app
from .auth import Keys, keys_from
from .backends import Backends
from .discovery.kube import KubeDiscovery
from .discovery.static import StaticDiscovery
from .errors import StartError
from .limits import Limits
from .limits_file import LimitsFile
from .settings import Settings
from .upstream import Upstream

BACKLOG = 1024
POLL_S = 0.02
RELOAD_INTERVAL_S = 1.0
"""Between two looks at the files that may change."""
CLOSING_S = 2.0
"""How long closed connections may take to send their last bytes."""

logger = logging.getLogger(__name__)


class Server:
    """An adapter that serves; made by `serving`."""

    def __init__(self, app: Sanic, http: AsyncioServer, url: str):
        self._app = app
        self._http = http
        self.url = url

    async def drain(self, grace_period_s: float) -> None:
        """Take no new connections, and wait for the running requests.

        What still comes in on open connections is answered, with `Connection: close`.
        """
        self._app.ctx.draining = True
        self._stop_listening()
        await _wait_while(self._busy, grace_period_s)

    async def close(self) -> None:
        """Close all connections, and cut those that are busy."""
        self._stop_listening()
        for connection in list(self._http.connections):
            connection.close()
        await _wait_while(lambda: bool(self._http.connections), CLOSING_S)
        for connection in list(self._http.connections):
            connection.abort()
        Sanic.unregister_app(self._app)

    def _stop_listening(self) -> None:
        cast(asyncio.Server, self._http.server).close()

    def _busy(self) -> bool:
        return any(
            connection.http is not None and connection.http.stage is not Stage.IDLE
            for connection in self._http.connections
        )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Server]:
    """Serve while the block runs. At its end whatever still runs is cut.

    Raises:
        StartError: a key, the port or the Kubernetes API can't be had.
        Exception: a background task has died, and so must the program.
    """
    keys = keys_from(settings)
    limits = Limits(LimitsFile(settings.limits_file) if settings.limits_file else None)
    with _listener(settings.host, settings.port) as listener:
        async with Upstream(settings.timeout_s) as upstream, Backends(upstream.is_healthy) as backends:
            tasks: list[Callable[[], Coroutine[Any, Any, None]]] = [partial(_reload, [keys, limits])]
            if settings.backends:
                tasks.append(StaticDiscovery(settings.backends, backends, upstream).run)
            if settings.discover:
                kube = KubeDiscovery(settings.namespace, settings.selector, backends)
                await kube.connect()
                tasks.append(kube.run)
            async with _background(tasks):
                app = create_app(settings, keys, limits, backends, upstream)
                http = cast(AsyncioServer, await app.create_server(sock=listener, backlog=BACKLOG))
                # Sanic looks here for HTTP/3, and would send an empty Alt-Svc header if it found nothing.
                app.state.server_info.append(ApplicationServerInfo({"version": HTTP.VERSION_1}))
                await http.startup()
                await cast(Coroutine[Any, Any, None], http.start_serving())
                server = Server(app, http, _url(listener))
                logger.info("Listening on %s", server.url)
                try:
                    yield server
                finally:
                    await server.close()


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, and then until the running requests are done.

    A second signal ends the waiting.

    Raises:
        StartError: the server could not start.
    """
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    async with serving(settings) as server:
        await signals.get()
        logger.info("Draining: running requests have %g s to finish.", settings.grace_period_s)
        await _first(server.drain(settings.grace_period_s), signals.get())


async def _reload(sources: Sequence[Keys | Limits]) -> None:
    """Let the sources see whether their files have changed. Runs until it is cancelled."""
    while True:
        await asyncio.sleep(RELOAD_INTERVAL_S)
        for source in sources:
            source.reload()


@asynccontextmanager
async def _background(runs: list[Callable[[], Coroutine[Any, Any, None]]]) -> AsyncIterator[None]:
    """Run these beside the block. If one fails, the block is cancelled and the error raised."""
    block = asyncio.current_task()
    failed: list[BaseException] = []

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            failed.append(error)
            cast("asyncio.Task[None]", block).cancel()

    tasks = [asyncio.create_task(run()) for run in runs]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    except asyncio.CancelledError:
        if failed:
            raise failed[0] from None
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them is done, and cancel the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _wait_while(condition: Callable[[], bool], limit_s: float) -> None:
    """Wait until the condition is false, for the limit at most."""
    for _ in range(round(limit_s / POLL_S)):
        if not condition():
            return
        await asyncio.sleep(POLL_S)


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens, until the block ends.

    Raises:
        StartError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm only where the protocol is named.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartError(
                    f"Port {port} is taken by another program: choose another with --port."
                ) from error
            raise StartError(
                f"Can't listen on {host}, port {port} ({error.strerror}): check --host and --port."
            ) from error
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
