"""One file of the Hub, whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .client import HubClient, Listing, RemoteFile
from .patience import HubAway, Patience

logger = logging.getLogger("openaisle_opt")

_TRIES = 2
"""The second is for bytes that were wrong because an old, cut file was gone on with."""


def download(
    client: HubClient,
    listing: Listing,
    file: RemoteFile,
    target: Path,
    patience: Patience,
    report: Callable[[int], None] = lambda num_bytes: None,
) -> None:
    """Bring `file` to `target`, which appears only when it is whole and its digest is right.

    What had come is kept beside it as `*.incomplete`, and the next call goes on from there. `report` is
    called with how many bytes came, below zero where some had to be thrown away.

    Raises:
        CheckpointError: the Hub refuses, stays away, or sends other bytes than it promised.
        OSError: the file cannot be written.
    """
    partial = target.with_name(f"{target.name}.incomplete")
    for left in reversed(range(_TRIES)):
        found = _receive(client, listing, file, partial, patience, report)
        if file.digest is None:
            logger.warning(
                "%s gives no checksum of %s; only its size was checked.", client.endpoint, file.name
            )
            break
        if found == file.digest:
            break
        report(-partial.stat().st_size)
        partial.unlink()
        sentence = (
            f"{file.name} of {listing} has wrong bytes: {client.endpoint} promised {_kind(file.digest)} "
            f"{file.digest}, and what came has {found}; it was thrown away."
        )
        if not left:
            raise CheckpointError(f"{sentence} Check the mirror, or a proxy on the way.")
        logger.warning("%s Fetching it once more.", sentence)
    partial.replace(target)


def _receive(
    client: HubClient,
    listing: Listing,
    file: RemoteFile,
    partial: Path,
    patience: Patience,
    report: Callable[[int], None],
) -> str:
    """Fill `partial` up to the file's size, over as many connections as it takes; its digest."""
    # Not in append mode: where a volume has no locks, two programs write the same bytes to the same places.
    with open(os.open(partial, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as stored:
        digest = _Digest(file)
        done = digest.read(stored, file.num_bytes)
        report(done)
        if done:
            logger.info(
                "%s: %s of %s had come before; going on.", file.name, size(done), size(file.num_bytes)
            )
        while done < file.num_bytes:
            try:
                with client.read(listing, file, done) as (start, pieces):
                    if start != done:
                        report(-done)
                        done, digest = 0, _Digest(file)
                        stored.seek(0)
                    for piece in pieces:
                        stored.write(piece)
                        digest.update(piece)
                        done += len(piece)
                        report(len(piece))
                        patience.succeeded()
                if done < file.num_bytes:
                    much = f"{size(done)} of {size(file.num_bytes)}"
                    raise HubAway(f"{client.endpoint} broke off after {much} of {file.name}.")
            except HubAway as error:
                stored.flush()
                patience.failed(error)
        stored.truncate(done)
        stored.flush()
        os.fsync(stored.fileno())
        return digest.hexdigest()


class _Digest:
    """The hash by which the Hub names a file: sha256, or git's for small ones."""

    def __init__(self, file: RemoteFile):
        git = file.digest is not None and len(file.digest) == 40
        self._hash = hashlib.sha1(b"blob %d\0" % file.num_bytes) if git else hashlib.sha256()

    def read(self, stored: Any, limit: int) -> int:
        """Take in what a file holds, up to `limit` bytes; how many that were."""
        done = 0
        while piece := stored.read(min(1 << 20, limit - done)):
            self.update(piece)
            done += len(piece)
        return done

    def update(self, piece: bytes) -> None:
        self._hash.update(piece)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _kind(digest: str) -> str:
    return "the git hash" if len(digest) == 40 else "the sha256"


def size(num_bytes: int) -> str:
    """A number of bytes as people read it: 1.3 GB."""
    if num_bytes < 1000:
        return f"{num_bytes} bytes"
    value, units = num_bytes / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 1000:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}"
