"""The program: settings, the port, the engine's process, then the server until it is told to end."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .checkpoint import resolve
from .errors import StartError
from .launcher import ENGINE, EngineProcess
from .listen import bind
from .settings import Settings, is_folder, parse_settings


def main(arguments: Sequence[str], engine: str = ENGINE) -> int:
    """Run the server; returns the exit code. `engine` names what runs in the engine's process."""
    try:
        settings = parse_settings(arguments)
        logging.basicConfig(
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(message)s",
            stream=sys.stderr,
        )
        return _serve(settings, engine)
    except StartError as error:
        print(f"serve-opt: {error}", file=sys.stderr)
        return 1


def _serve(settings: Settings, engine: str) -> int:
    """Start the parts in the order that lets a local model be ready soonest."""
    with bind(settings.host, settings.port) as listener:
        # Until the server has handlers of its own, SIGTERM has to run the clean-up below.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        started: tuple[Path, EngineProcess] | None = None
        if is_folder(settings.model):
            folder = resolve(settings.model, None, None)
            # The engine imports torch while this process imports what it needs itself.
            started = folder, EngineProcess(settings.engine(str(folder)), engine)
        try:
            from .serving import run

            return run(settings, listener, started, engine)
        finally:
            if started:
                started[1].kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
