"""Find the files of a model: a folder, or a snapshot of a model on the Hub."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .hub.settings import HubSettings
from .hub.snapshot import WEIGHTS, Progress, fetch
from .settings import is_folder

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def resolve(
    model: str, revision: str | None, download_dir: str | None, progress: Progress = lambda phase, done: None
) -> Path:
    """The folder with the files of `model`, fetched from the Hub if need be.

    Raises:
        CheckpointError: there is no such model, it is no OPT, or it could not be fetched.
    """
    if is_folder(model):
        folder = Path(os.path.expanduser(model))
        _check_is_folder(folder)
    elif _HUB_ID.fullmatch(model):
        return fetch(model, revision, HubSettings.read(download_dir), check_config, check_folder, progress)
    else:
        raise CheckpointError(
            f"'{model}' is neither a folder nor a Hub id; give --model a folder with an OPT checkpoint, or "
            "an id such as facebook/opt-125m."
        )
    check_folder(folder)
    return folder


def _check_is_folder(folder: Path) -> None:
    try:
        if stat.S_ISDIR(folder.stat().st_mode):
            return
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"There is no folder {folder}; give --model a folder with an OPT checkpoint, or a Hub id "
            "such as facebook/opt-125m."
        ) from None
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {error.strerror}.") from error
    raise CheckpointError(
        f"{folder} is a file; give --model the folder of an OPT checkpoint, which holds config.json."
    )


def check_config(folder: Path) -> None:
    """See that the model in `folder` is an OPT.

    Raises:
        CheckpointError: it is another, or its configuration is missing.
    """
    config = _read_json(folder / "config.json", "the model's configuration")
    if config.get("model_type") != "opt":
        raise CheckpointError(
            f"{folder}/config.json describes a model of type '{config.get('model_type')}'; only OPT models "
            "(type 'opt') can be served."
        )


def check_folder(folder: Path) -> None:
    """See that `folder` holds an OPT: its configuration, its weights and its tokenizer.

    Raises:
        CheckpointError: something is missing or is not an OPT's.
    """
    check_config(folder)
    _check_weights(folder)
    has_merges = _is_file(folder / "vocab.json") and _is_file(folder / "merges.txt")
    if not _is_file(folder / "tokenizer.json") and not has_merges:
        raise CheckpointError(
            f"{folder} holds no tokenizer; copy tokenizer.json, or vocab.json and merges.txt, into it."
        )


def _check_weights(folder: Path) -> None:
    for pattern, index in WEIGHTS:
        if _is_file(folder / index):
            weight_map = _read_json(folder / index, "the list of weight files").get("weight_map", {})
            shards = set(weight_map.values())
            missing = sorted(name for name in shards if not _is_file(folder / name))
            if not missing:
                return
            raise CheckpointError(
                f"{folder} lacks {len(missing)} of {len(shards)} weight files, {missing[0]} among them; copy "
                "the whole checkpoint."
            )
        if any(_is_file(path) for path in folder.glob(pattern)):
            return
    raise CheckpointError(
        f"{folder} holds no weights; it needs model.safetensors or pytorch_model.bin, whole or in shards."
    )


def _is_file(path: Path) -> bool:
    """Whether the file is there.

    Raises:
        CheckpointError: it is, but nobody lets us read it.
    """
    if not path.is_file():
        return False
    try:
        path.open("rb").close()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    return True


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
