"""The processes of all ranks but the first, as the first sees them: started, told each step, watched.

Each has a line to the first rank, which carries pickled objects. While it loads it sends `Progress` and the
answers that `gather` waits for; then it only listens. Before it ends because of an error it sends `Fatal`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from .errors import EngineError, reason_of
from .launcher import start_python, why_ended
from .protocol import Fatal, Progress
from .settings import EngineSettings

_REPORT_INTERVAL_S = 0.2
_LAST_WORDS_S = 3.0
"""How long to wait for a worker's end after a step failed: most likely that is why it did."""
_LEAVE_S = 2.0


class Workers:
    """One process for each rank above 0."""

    def __init__(self, settings: EngineSettings, on_lost: Callable[[str], None]):
        """Start them; `close` ends them. They end by themselves when this process is gone.

        `on_lost` is told, from a thread, why the first that ended did so: no step can succeed any more, and
        one that has begun may never return.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="openaisle-ranks-"))
        """Where the ranks meet."""
        self.fractions = [0.0] * (settings.tensor_parallel_size - 1)
        """How much of its weights each has loaded."""
        self._on_lost = on_lost
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_over = False
        self._last_words: str | None = None
        self._has_last_words = threading.Event()
        self._lines: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._watchers: list[threading.Thread] = []
        for rank in range(1, settings.tensor_parallel_size):
            self._start(rank, settings)

    def _start(self, rank: int, settings: EngineSettings) -> None:
        line, other_end = multiprocessing.Pipe()
        descriptor = other_end.fileno()
        arguments = [str(descriptor), str(rank), str(self.folder), msgspec.json.encode(settings).decode()]
        with other_end:
            process = start_python("openaisle_opt.worker", *arguments, pass_fds=[descriptor])
        watcher = threading.Thread(
            target=self._watch, args=(rank, line, process), name=f"rank-{rank}", daemon=True
        )
        watcher.start()
        self._lines.append(line)
        self._processes.append(process)
        self._watchers.append(watcher)

    def send(self, message: Any) -> None:
        """Tell all of them.

        Raises:
            EngineError: one has ended.
        """
        payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        try:
            for line in self._lines:
                line.send_bytes(payload)
        except OSError as error:
            raise self.failure(error) from error

    def gather(self, report: Callable[[], None] = lambda: None) -> list[Any]:
        """One answer of each, in no order; `report` is called now and then meanwhile.

        Raises:
            EngineError: one has ended.
        """
        answers: list[Any] = []
        while len(answers) < len(self._lines):
            try:
                answers.append(self._answers.get(timeout=_REPORT_INTERVAL_S))
            except queue.Empty:
                report()
                if self._has_last_words.is_set():
                    raise EngineError(self._last_words) from None
        return answers

    def failure(self, error: Exception) -> EngineError:
        """What `error`, with which a step failed here, means for the engine."""
        self._has_last_words.wait(_LAST_WORDS_S)
        return EngineError(
            self._last_words
            or f"A step failed on the first of {len(self._lines) + 1} ranks ({reason_of(error)}), and "
            "none can go on without the others."
        )

    def close(self) -> None:
        """End them."""
        with self._lock:
            self._is_over = True
        for line in self._lines:
            with contextlib.suppress(OSError):  # it is gone already
                line.send(None)
        deadline = time.monotonic() + _LEAVE_S
        for line, process, watcher in zip(self._lines, self._processes, self._watchers, strict=True):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            watcher.join()
            line.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _watch(self, rank: int, line: Connection, process: subprocess.Popen[bytes]) -> None:
        """Take in what one of them says, until it ends."""
        fatal: str | None = None
        try:
            while fatal is None:
                message = line.recv()
                if isinstance(message, Progress):
                    self.fractions[rank - 1] = message.fraction or 0.0
                elif isinstance(message, Fatal):
                    fatal = message.message
                else:
                    self._answers.put(message)
        except (EOFError, OSError):
            pass
        with self._lock:
            if self._is_over:  # they were told to end, or another has ended first, and all others by that
                return
            self._is_over = True
        name = f"Rank {rank} of {len(self.fractions) + 1}"
        self._last_words = f"{name}: {fatal}" if fatal else why_ended(name, process.wait())
        self._has_last_words.set()
        shutil.rmtree(self.folder, ignore_errors=True)  # this process may end now, and with it the others
        self._on_lost(self._last_words)
