"""Start, watch and end the engine's process.

`python -m openaisle_opt.launcher TARGET SOCKET SETTINGS` is what runs in it: TARGET, as in
`openaisle_opt.engine_process:main`, is called with the settings and the path of the socket.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from .settings import EngineSettings

ENGINE = "openaisle_opt.engine_process:main"


def start_python(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """`python -m module arguments` with this process' own search path; `options` are Popen's."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.DEVNULL,
        **options,
    )


def why_ended(name: str, code: int) -> str:
    """A sentence on how a process of the engine ended."""
    if code == -signal.SIGKILL:
        return (
            f"{name} was killed, most likely because memory ran out; give it more memory, a smaller "
            "model, or a smaller --kv-cache-gib."
        )
    if code < 0:
        return f"{name} was ended by {signal.Signals(-code).name}."
    return f"{name} ended with exit code {code}; its own words are above."


class EngineProcess:
    """The engine's process and the private folder with its socket."""

    def __init__(self, settings: EngineSettings, target: str = ENGINE):
        """Start the process; the caller ends it with `stop`."""
        self._folder = tempfile.mkdtemp(prefix="openaisle-")
        self.socket_path = str(Path(self._folder) / "engine.sock")
        arguments = [target, self.socket_path, msgspec.json.encode(settings).decode()]
        try:
            # Out of the terminal's group: Ctrl-C is for the server, which ends the engine in time.
            self._process = start_python("openaisle_opt.launcher", *arguments, start_new_session=True)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def why_ended(self, within_s: float = 0.0) -> str | None:
        """A sentence on how the process ended; None if it still runs after `within_s` seconds."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        return why_ended("The engine", code)

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the process, which leaves by itself once its socket is closed, and remove its folder."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self.stop()


def main() -> None:
    """Run the target that the command line names."""
    target, socket_path, settings = sys.argv[1:]
    module, _, function = target.partition(":")
    run = getattr(importlib.import_module(module), function)
    run(msgspec.json.decode(settings, type=EngineSettings), socket_path)


if __name__ == "__main__":
    main()
