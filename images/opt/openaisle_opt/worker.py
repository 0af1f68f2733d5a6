"""A rank above 0: loads its part of the model, and computes each step that the first rank sends.

`python -m openaisle_opt.worker DESCRIPTOR RANK FOLDER SETTINGS` is how `workers` starts it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import signal
import sys
import threading
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

import msgspec

from .errors import StartError, sentence_of
from .protocol import Fatal, Progress
from .settings import EngineSettings

_log = logging.getLogger(__name__)


def main() -> None:
    """Serve the first rank until it says that it is enough, or is gone."""
    descriptor, rank, folder, settings = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first rank decides when it is over
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    line = Connection(int(descriptor))
    threading.Thread(target=_leave_with_first, args=(line.fileno(), folder), daemon=True).start()
    try:
        serve(line, int(rank), Path(folder), msgspec.json.decode(settings, type=EngineSettings))
    except (EOFError, ConnectionError):  # the first rank is gone
        pass
    except Exception as error:  # noqa: BLE001 - the outermost loop: whatever it is, it is told and ends us
        if not isinstance(error, StartError):
            _log.exception("rank %s cannot go on", rank)
        with contextlib.suppress(ConnectionError):
            line.send(Fatal(sentence_of(error)))
        os._exit(1)
    _leave(folder)


def _leave(folder: str) -> NoReturn:
    """End this process, and remove what the first rank leaves behind if it was killed."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # not by return: what torch has to do at its end may wait for other ranks


def _leave_with_first(descriptor: int, folder: str) -> None:
    """End this process with the first rank, even within a sum that waits for it."""
    poll = select.poll()
    poll.register(descriptor, 0)  # nothing but the end of the line
    poll.poll()
    _leave(folder)


def serve(line: Connection, rank: int, folder: Path, settings: EngineSettings) -> None:
    """Load, tell how it goes, and compute.

    Raises:
        StartError: one sentence that names what is wrong.
        EOFError, ConnectionError: the first rank is gone.
    """
    from .forward import Forward  # brings torch
    from .kv_cache import KVCache
    from .loading import available_bytes, choose_placement, load_part
    from .ranks import Ranks, join
    from .weights import read_config

    ranks = Ranks(rank, settings.tensor_parallel_size)
    model_dir = Path(settings.model_dir)
    config = read_config(model_dir)
    place = choose_placement(settings, model_dir, ranks)
    line.send(None)  # the first rank goes where all meet when all are near: waiting there has its limit
    join(place.ranks, folder, place.device)
    model = load_part(settings, config, place, lambda fraction: line.send(Progress("loading", fraction)))
    line.send(available_bytes(place.device))
    if (num_blocks := line.recv()) is None:
        return
    forward = Forward(model, KVCache(config, num_blocks, settings.block_size, place))
    line.send(None)
    while (inputs := line.recv()) is not None:
        forward(inputs)


if __name__ == "__main__":
    main()
