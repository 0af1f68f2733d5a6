"""One program fetches a model into a shared folder, the others wait and say for whom."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

logger = logging.getLogger("openaisle_opt")

_POLL_S = 0.5
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[str], None], poll_s: float = _POLL_S) -> Iterator[None]:
    """Hold the lock at `path`; while another holds it, `waiting` is called with the holder's host name.

    The kernel keeps the lock (the server of a network volume does), so that of a program or node that
    died is free at once. The file stays behind and means nothing.

    Raises:
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        while not _try(file):
            waiting(_holder(path))
            time.sleep(poll_s)
        file.truncate(0)
        file.write(socket.gethostname())
        file.flush()
        yield


def _try(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning(
            "%s is on a volume without locks; replicas that fetch at once do the work twice.", file.name
        )
    return True


def _holder(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() or "another program"
