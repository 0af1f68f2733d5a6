"""A model of the Hub in a folder: found there, or fetched into it."""

from __future__ import annotations

import errno
import fnmatch
import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError
from .cache import ModelCache
from .client import HubClient, Listing, RemoteFile, describe
from .download import download, size
from .lock import locked
from .patience import HubAway, Patience
from .settings import HubSettings

Progress = Callable[[str, "float | None"], None]
"""Called with what is being done, in words, and how far it is (0 to 1; None if that is unknown)."""

Check = Callable[[Path], None]
"""Raises CheckpointError when a folder is not what it should be."""

_SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
WEIGHTS = (
    ("*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model*.bin", "pytorch_model.bin.index.json"),
)
"""Patterns of weight files and the list of their shards; the first kind that is there is taken."""


def fetch(
    model: str,
    revision: str | None,
    settings: HubSettings,
    check_config: Check,
    check_whole: Check,
    progress: Progress = lambda phase, done: None,
    patience: Patience | None = None,
) -> Path:
    """The folder with the files of `model`; the Hub is not asked for what is there and whole.

    Args:
        check_config: is given the folder once it holds config.json, before anything large is fetched.
        check_whole: is given the folder with all its files.

    Raises:
        CheckpointError: the model cannot be had.
    """
    revision = revision or "main"
    at = describe(model, revision)
    cache = ModelCache(settings.cache, model)
    try:
        if found := _find(cache, revision, check_whole):
            return found
        if settings.offline:
            raise CheckpointError(
                f"{at} is not in {settings.cache} and HF_HUB_OFFLINE is set; unset it, or bring the files."
            )
        with locked(cache.lock, lambda holder: progress(f"waiting for {holder}, which fetches {at}", None)):
            if found := _find(cache, revision, check_whole):
                return found
            patience = patience or Patience()
            client = HubClient(settings.endpoint, settings.token)
            progress(f"looking for {at} on the Hub", None)
            listing = _list(client, model, revision, patience)
            _bring(client, cache, listing, patience, check_config, progress)
            cache.remember(revision, listing.commit)
            folder = cache.snapshot(listing.commit)
            check_whole(folder)
            return folder
    except OSError as error:
        raise CheckpointError(_why_not_stored(at, settings.cache, error)) from error


def _find(cache: ModelCache, revision: str, check_whole: Check) -> Path | None:
    """The snapshot, if it has all its files; names appear in it only when their content is whole."""
    folder = cache.find(revision)
    if folder is None:
        return None
    try:
        check_whole(folder)
    except CheckpointError:
        return None
    return folder


def _list(client: HubClient, model: str, revision: str, patience: Patience) -> Listing:
    """What is to be fetched, in the order in which it is: the weights come last."""
    while True:
        try:
            listing = client.list(model, revision)
            files = [
                file if file.digest else client.complete(listing, file) for file in needed(listing.files)
            ]
            return Listing(model, revision, listing.commit, tuple(files))
        except HubAway as error:
            patience.failed(error)


def needed(files: tuple[RemoteFile, ...]) -> list[RemoteFile]:
    """Of a repository's files the few that serving needs: one format of weights, not all of them."""
    by_name = {file.name: file for file in files if "/" not in file.name}
    names = [name for name in _SMALL if name in by_name]
    for pattern, index in WEIGHTS:
        if weights := sorted(fnmatch.filter(by_name, pattern)):
            names += [index] if index in by_name else []
            names += weights
            break
    return [by_name[name] for name in names]


def _bring(
    client: HubClient,
    cache: ModelCache,
    listing: Listing,
    patience: Patience,
    check_config: Check,
    progress: Progress,
) -> None:
    commit = listing.commit
    missing = [file for file in listing.files if not cache.has(commit, file)]
    total = sum(file.num_bytes for file in missing)
    _check_space(cache, listing, missing)
    phase = f"downloading {listing} ({size(total)} in {len(missing)} files)"
    done = 0

    def report(num_bytes: int) -> None:
        nonlocal done
        done += num_bytes
        progress(phase, done / total if total else None)

    report(0)
    for file in missing:
        blob = cache.blob(commit, file)
        if blob.is_file() and blob.stat().st_size == file.num_bytes:
            report(file.num_bytes)
        else:
            download(client, listing, file, blob, patience, report)
        cache.place(commit, file)
        if file.name == "config.json":
            check_config(cache.snapshot(commit))


def _check_space(cache: ModelCache, listing: Listing, missing: list[RemoteFile]) -> None:
    """See that what is missing fits, before hours of download show that it doesn't."""
    wanted = 0
    for file in missing:
        blob = cache.blob(listing.commit, file)
        partial = blob.with_name(f"{blob.name}.incomplete")
        stored = next((path.stat().st_size for path in (blob, partial) if path.is_file()), 0)
        wanted += max(0, file.num_bytes - stored)
    free = shutil.disk_usage(cache.lock.parent).free
    if wanted > free:
        raise CheckpointError(
            f"{listing} needs {size(wanted)}, and {cache.lock.parents[2]} has {size(free)} free; "
            "make room, or name a larger volume."
        )


def _why_not_stored(at: str, folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{folder} is full, so {at} could not be stored; make room, or name a larger volume."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{folder} cannot be written, so {at} could not be stored; name a folder that can."
    return f"{at} could not be stored in {folder}: {error.strerror or error}."
