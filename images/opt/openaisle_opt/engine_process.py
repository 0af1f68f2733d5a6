"""The process that the engine lives in: a Unix socket on one side, the loop on the other.

torch is imported only after the socket listens, so that the other process can follow the loading.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn

import msgspec

from .errors import EngineError, StartError, sentence_of
from .protocol import Cancel, Fatal, FromEngine, Progress, Ready, Submit, ToEngine
from .settings import EngineSettings

if TYPE_CHECKING:
    from .engine import Engine

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 60.0
_PROGRESS_INTERVAL_S = 0.2
_MAX_FRAME_BYTES = 1 << 30
_LENGTH = struct.Struct(">I")

_SPIN_COUNT = "3000"
"""Rounds that a thread of torch (GNU OpenMP) spins for more work before it sleeps: about 50 us, longer
than the gaps within a step. By default it spins for milliseconds, which on a busy machine takes the
core from the very thread that it waits for and makes steps ten times as long."""


def main(settings: EngineSettings, socket_path: str) -> None:
    """Listen at `socket_path`, load the model, and serve the one process that connects.

    Exits when that process closes the connection, and with code 1 after a `Fatal`. The other process
    decides about signals: what it wants to finish must not be cut off here.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)  # read when torch is imported
    # torch works without NumPy, which only takes room here; it warns once all the same.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(socket_path)
        listener.listen(1)
        listener.settimeout(_CONNECT_TIMEOUT_S)
        connection, _ = listener.accept()
    with connection, Channel(connection) as channel:
        try:
            engine, ready = load(settings, channel.report_progress, channel.end)
            channel.send(ready)
            serve(engine, channel)
        except ConnectionError:  # the other process is gone, and with it everybody who could be told
            os._exit(0)  # not by return: what torch has to do at its end may wait for other ranks
        except Exception as error:  # noqa: BLE001 - the outermost loop: whatever it is, it is told and ends us
            if not isinstance(error, StartError):
                _log.exception("the engine cannot go on")
            channel.end(sentence_of(error))


class Channel:
    """Frames over the connection: a thread reads them, the loop writes them."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._encoder = msgspec.msgpack.Encoder()
        self._inbox: queue.SimpleQueue[ToEngine | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._last_progress_s = 0.0
        self._last_phase = ""

    def __enter__(self) -> Channel:
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def send(self, message: FromEngine) -> None:
        """Raises ConnectionError when the other process is gone."""
        with self._sending:
            payload = self._encoder.encode(message)
            self._connection.sendall(_LENGTH.pack(len(payload)) + payload)

    def end(self, reason: str) -> NoReturn:
        """Tell why the engine cannot go on, and end the process: from any thread, whatever the loop does."""
        with contextlib.suppress(ConnectionError):
            self.send(Fatal(reason))
        os._exit(1)

    def report_progress(self, phase: str, fraction: float | None = None) -> None:
        """Tell what the loading does, not more often than somebody can read."""
        now = time.monotonic()
        if phase != self._last_phase or now - self._last_progress_s >= _PROGRESS_INTERVAL_S:
            self._last_phase, self._last_progress_s = phase, now
            self.send(Progress(phase, fraction))

    def receive(self, *, wait: bool) -> Iterator[ToEngine]:
        """The messages that have come; with `wait`, sleeps until there is one.

        Raises ConnectionError when the other process is gone.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._inbox.get(block=wait)
                if message is None:
                    raise ConnectionError("the other process has closed the connection")
                yield message
                wait = False

    def _read(self) -> None:
        decoder = msgspec.msgpack.Decoder(ToEngine)
        try:
            with self._connection.makefile("rb") as stream:
                while len(header := stream.read(_LENGTH.size)) == _LENGTH.size:
                    (length,) = _LENGTH.unpack(header)
                    if length > _MAX_FRAME_BYTES:
                        raise EngineError(f"A frame of {length} bytes came, which nothing sends.")
                    self._inbox.put(decoder.decode(stream.read(length)))
        except (OSError, msgspec.MsgspecError, EngineError):
            _log.exception("the connection to the HTTP process broke")
        self._inbox.put(None)


def load(
    settings: EngineSettings, progress: Callable[[str, float | None], None], on_lost: Callable[[str], None]
) -> tuple[Engine, Ready]:
    """The engine for a checkpoint, and what to say about it. `on_lost` is told why it can no longer go on.

    Raises:
        StartError: one sentence that names what is wrong.
    """
    progress("starting", None)
    from .loading import load_engine  # brings torch

    return load_engine(settings, progress, on_lost)


def serve(engine: Engine, channel: Channel) -> None:
    """The loop. Ends with ConnectionError when the other process is gone."""
    while True:
        for message in channel.receive(wait=not engine.has_work):
            if isinstance(message, Submit):
                engine.submit(message)
            elif isinstance(message, Cancel):
                engine.cancel(message)
        step = engine.step()
        if step is not None:
            channel.send(step)
