"""`python -m openaisle_adapter`: settings, then the server, then an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvloop

from .access_log import setup_logging
from .command_line import parse_settings
from .errors import StartError
from .server import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program until it is told to stop. Returns the exit code."""
    try:
        settings = parse_settings(sys.argv[1:] if arguments is None else arguments)
        setup_logging(settings.log_level)
        uvloop.run(run(settings))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
