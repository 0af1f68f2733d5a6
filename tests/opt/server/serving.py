"""The whole program with its own engine and the bundled model, for tests of what its users see."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[3] / "images" / "opt" / "serve-opt.py"


@dataclass(frozen=True)
class Running:
    """A program that is ready."""

    url: str
    pid: int


def start(*options: str) -> subprocess.Popen[str]:
    """A program on a free port, which says on its standard error where it is ready."""
    return subprocess.Popen(
        [
            sys.executable,
            str(PROGRAM),
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--kv-cache-gib",
            "0.1",
            *options,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Running]:
    """A program that is ready; it has to end cleanly, and never to write a traceback."""
    process = start(*options)
    assert process.stderr is not None
    lines = [""]
    for line in process.stderr:
        lines.append(line)
        if "ready: " in line:
            break
    ready = lines[-1]
    # A full pipe would hold the program up.
    reader = threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        assert "ready: " in ready, "".join(lines)
        yield Running(ready.strip().rpartition(" on ")[2], process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        reader.join()
        assert "Traceback" not in "".join(lines), "".join(lines)
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
