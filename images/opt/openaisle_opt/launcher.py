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

import msgspec

from .settings import EngineSettings

ENGINE = "openaisle_opt.engine_process:main"


class EngineProcess:
    """The engine's process and the private folder with its socket."""

    def __init__(self, settings: EngineSettings, target: str = ENGINE):
        """Start the process; the caller ends it with `stop`."""
        self._folder = tempfile.mkdtemp(prefix="openaisle-")
        self.socket_path = str(Path(self._folder) / "engine.sock")
        command = [sys.executable, "-m", "openaisle_opt.launcher", target, self.socket_path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            self._process = subprocess.Popen(
                [*command, msgspec.json.encode(settings).decode()],
                env=environment,
                stdin=subprocess.DEVNULL,
                # Out of the terminal's group: Ctrl-C is for the server, which ends the engine in time.
                start_new_session=True,
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def why_ended(self, within_s: float = 0.0) -> str | None:
        """A sentence on how the process ended; None if it still runs after `within_s` seconds."""
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None
        if code == -signal.SIGKILL:
            return (
                "The engine was killed, most likely because memory ran out; give it more memory, a smaller "
                "model, or a smaller --kv-cache-gib."
            )
        if code < 0:
            return f"The engine was ended by {signal.Signals(-code).name}."
        return f"The engine ended with exit code {code}; its own words are above."

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
