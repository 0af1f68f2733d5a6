"""Find the files of a model: a folder, or a snapshot of a model on the Hub."""

from __future__ import annotations

import errno
import fnmatch
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .settings import is_folder

Progress = Callable[[str, "float | None"], None]
"""Called with what is being done, in words, and how far it is (0 to 1; None if that is unknown)."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_WEIGHTS = (
    ("*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model*.bin", "pytorch_model.bin.index.json"),
)
"""Patterns of weight files and the list of their shards; the first kind that is there is taken."""


def resolve(
    model: str, revision: str | None, download_dir: str | None, progress: Progress = lambda phase, done: None
) -> Path:
    """The folder with the files of `model`, fetched from the Hub if need be.

    Raises:
        CheckpointError: there is no such model, it is no OPT, or it could not be fetched.
    """
    if is_folder(model):
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise CheckpointError(
                f"There is no folder {folder}; give --model a folder with an OPT checkpoint, or a Hub id "
                "such as facebook/opt-125m."
            )
    elif _HUB_ID.fullmatch(model):
        folder = _fetch(model, revision, download_dir, progress)
    else:
        raise CheckpointError(
            f"'{model}' is neither a folder nor a Hub id; give --model a folder with an OPT checkpoint, or "
            "an id such as facebook/opt-125m."
        )
    check_folder(folder)
    return folder


def check_folder(folder: Path) -> None:
    """See that `folder` holds an OPT: its configuration, its weights and its tokenizer.

    Raises:
        CheckpointError: something is missing or is not an OPT's.
    """
    config = _read_json(folder / "config.json", "the model's configuration")
    if config.get("model_type") != "opt":
        raise CheckpointError(
            f"{folder}/config.json describes a model of type '{config.get('model_type')}'; only OPT models "
            "(type 'opt') can be served."
        )
    _check_weights(folder)
    has_merges = (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    if not has_merges and not (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            f"{folder} holds no tokenizer; copy tokenizer.json, or vocab.json and merges.txt, into it."
        )


def _check_weights(folder: Path) -> None:
    for pattern, index in _WEIGHTS:
        if (folder / index).is_file():
            weight_map = _read_json(folder / index, "the list of weight files").get("weight_map", {})
            shards = set(weight_map.values())
            missing = sorted(name for name in shards if not (folder / name).is_file())
            if not missing:
                return
            raise CheckpointError(
                f"{folder} lacks {len(missing)} of {len(shards)} weight files, {missing[0]} among them; copy "
                "the whole checkpoint."
            )
        if any(path.is_file() for path in folder.glob(pattern)):
            return
    raise CheckpointError(
        f"{folder} holds no weights; it needs model.safetensors or pytorch_model.bin, whole or in shards."
    )


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} holds no OPT checkpoint: {path.name} ({what}) is missing."
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON; copy the file again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object; copy the file again.")
    return value


def _fetch(model: str, revision: str | None, download_dir: str | None, progress: Progress) -> Path:
    """Bring the needed files of a Hub model into the cache and return their folder."""
    # Imported here since it takes a third of a second that a local model need not wait for.
    from huggingface_hub import HfApi, constants, snapshot_download

    at = f"{model} at revision {revision}" if revision else model
    progress(f"looking for {at} on the Hub", None)
    try:
        if constants.HF_HUB_OFFLINE:
            return _find_in_cache(model, revision, download_dir)
        info = HfApi().model_info(model, revision=revision, files_metadata=True)
        sizes = _needed({file.rfilename: file.size or 0 for file in info.siblings or []})
        bar = _progress_bar(lambda done: progress(f"downloading {at}", done), sum(sizes.values()))
        return Path(
            snapshot_download(
                model,
                revision=revision,
                cache_dir=download_dir,
                allow_patterns=sorted(sizes),
                tqdm_class=bar,
            )
        )
    except Exception as error:
        raise CheckpointError(_why_not_fetched(at, error)) from error


def _find_in_cache(model: str, revision: str | None, download_dir: str | None) -> Path:
    """The folder of a model that was fetched before; `snapshot_download` would want all its files there."""
    from huggingface_hub import errors, try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json", cache_dir=download_dir, revision=revision)
    if not isinstance(config, str):
        raise errors.OfflineModeIsEnabled(f"{model} was never fetched")
    return Path(config).parent


def _needed(sizes: dict[str, int]) -> dict[str, int]:
    """Of a repository's files the few that serving needs: one format of weights, not all of them."""
    names = set(fnmatch.filter(sizes, "*.json")) | (sizes.keys() & {"merges.txt"})
    for pattern, _ in _WEIGHTS:
        if weights := fnmatch.filter(sizes, pattern):
            names.update(weights)
            break
    return {name: sizes[name] for name in names if "/" not in name}


def _progress_bar(report: Callable[[float], None], num_bytes: int) -> type:
    """A silent class in place of tqdm's that reports the share of `num_bytes` that has come."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            self.done = options.get("initial") or 0
            options.pop("name", None)
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.done += n or 0
            if self.counts_bytes and num_bytes:
                report(min(1.0, self.done / num_bytes))

    return Bar


def _why_not_fetched(at: str, error: Exception) -> str:
    """One sentence for what the Hub's client raised, the most specific case first."""
    from huggingface_hub import constants, errors, get_token

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"{at} is given on request only; ask for access on its page on the Hub, then set HF_TOKEN."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"The Hub has no {at}; check --revision."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"The Hub has no model {at}, or it is private; check the id, or set HF_TOKEN."
    if status == 401 and get_token() is None:
        # Without a token the Hub does not tell a private model from one that does not exist.
        return f"The Hub has no model {at}, or it is private; check the id, or set HF_TOKEN."
    if status in (401, 403):
        return f"The Hub refused the token for {at} (status {status}); check HF_TOKEN."
    if isinstance(error, errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE:
        return f"{at} is not in the download folder and HF_HUB_OFFLINE is set; unset it, or give a folder."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk is full, so {at} could not be stored; free some space, or set --download-dir."
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS):
        return f"{error.filename} cannot be written, so {at} could not be stored; set --download-dir."
    if status is not None:
        return f"{constants.ENDPOINT} answered {status} when asked for {at}; try again later."
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{at} could not be fetched from {constants.ENDPOINT}: {reason}"
