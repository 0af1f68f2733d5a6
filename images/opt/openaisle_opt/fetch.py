"""Fetch a model before a server wants it: `python -m openaisle_opt.fetch facebook/opt-125m --into /models`.

The Hub is not asked where the model is in the folder already. Progress goes to stderr as lines, and with
`--port` to whoever asks there, as the server would tell it; the folder with the files is printed in the end.
What goes wrong is told in one sentence, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Sequence

from .checkpoint import resolve
from .errors import StartError
from .settings import Parser, number
from .startup import Startup
from .startup_server import serve_startup

_INTERVAL_S = 5.0
"""Between two lines on the same thing; in between one for each tenth that is done."""


def main(arguments: Sequence[str]) -> int:
    """Fetch; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        options = _parser().parse_args(arguments)
        began = time.monotonic()
        lines, startup = ProgressLines(), Startup("downloading", "looking for the model")

        def report(phase: str, fraction: float | None) -> None:
            lines(phase, fraction)
            startup.report(phase, fraction)

        with contextlib.ExitStack() as served:
            if options.port is not None:
                served.enter_context(serve_startup(options.port, options.model, startup))
            folder = resolve(options.model, options.revision, options.into, report)
        logging.info("%s is there, after %.0f s", options.model, time.monotonic() - began)
        print(folder)
        return 0
    except StartError as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1


class ProgressLines:
    """Writes progress as lines of a log: enough to see that it goes on, and no more."""

    def __init__(self, log: logging.Logger | None = None):
        self._log = log or logging.getLogger("openaisle_opt")
        self._phase = ""
        self._at = 0.0
        self._tenth = 0

    def __call__(self, phase: str, done: float | None) -> None:
        now = time.monotonic()
        tenth = int(10 * (done or 0))
        if phase == self._phase and now - self._at < _INTERVAL_S and tenth == self._tenth:
            return
        self._phase, self._at, self._tenth = phase, now, tenth
        self._log.info("%s%s", phase, "" if done is None else f": {done:.0%}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m openaisle_opt.fetch",
        description="Fetch an OPT model from the Hugging Face Hub, or see that it is there.",
        epilog="HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured.",
        allow_abbrev=False,
    )
    parser.add_argument("model", help="id on the Hub, as facebook/opt-125m; a folder is only looked at")
    parser.add_argument("--revision", metavar="NAME", help="branch, tag or commit (main)")
    parser.add_argument("--into", metavar="FOLDER", help="where models are kept (the Hub's own cache)")
    parser.add_argument(
        "--port",
        type=number(int, 0, 65535),
        metavar="N",
        help="say how far it is at /health/ready and /metrics of this port, as the server would",
    )
    return parser


if __name__ == "__main__":
    # As the first process of a container it has no default for SIGTERM, and would be waited for.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
