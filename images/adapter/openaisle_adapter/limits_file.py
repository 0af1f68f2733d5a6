"""What each key may do: a YAML file, such as a mounted ConfigMap, that is read again when it changes.

    default: {requestsPerMinute: 0, tokensPerMinute: 0, concurrentRequests: 0, models: []}
    keys:
      alice: {requestsPerMinute: 60, models: [facebook/opt-125m]}

Zero and the empty list are no limit. What a key's entry leaves out is as in `default`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from .errors import StartError

NUMBERS = {
    "requestsPerMinute": "requests_per_minute",
    "tokensPerMinute": "tokens_per_minute",
    "concurrentRequests": "concurrent_requests",
}


@dataclass(frozen=True)
class KeyLimits:
    """What one key may do; zero and the empty tuple are no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent_requests: int = 0
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class LimitsTable:
    """The limits of all keys."""

    default: KeyLimits = KeyLimits()
    keys: Mapping[str, KeyLimits] = field(default_factory=dict)

    def of(self, key: str) -> KeyLimits:
        """The limits of a key by its name."""
        return self.keys.get(key, self.default)


class LimitsFile:
    """The file, and whether it has changed since it was last read.

    Kubernetes replaces a mounted ConfigMap by turning a link to a new folder, so the file's inode
    changes with it.
    """

    def __init__(self, path: Path):
        self._path = path
        self._seen: object = None

    def changed(self) -> bool:
        """Whether the file looks different from when it was last read, or tried to be."""
        return self._fingerprint() != self._seen

    def read(self) -> LimitsTable:
        """The limits.

        Raises:
            StartError: the file can't be read or used; the sentence names it.
        """
        self._seen = self._fingerprint()
        try:
            content = yaml.safe_load(self._path.read_text(encoding="utf-8"))
            return _table(content if content is not None else {})
        except OSError as error:
            raise StartError(
                f"The limits in {self._path} can't be read ({error.strerror}): check --limits-file."
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise StartError(f"The limits in {self._path} are not YAML: {_first_line(error)}") from error
        except _Mistake as mistake:
            raise StartError(f"The limits in {self._path} can't be used: {mistake}.") from mistake

    def _fingerprint(self) -> object:
        try:
            stat = self._path.stat()
        except OSError as error:
            return str(error)
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


class _Mistake(Exception):
    """What is wrong with the file's content; its text names the place."""


def _table(content: Any) -> LimitsTable:
    for name in _mapping(content, "the file"):
        if name not in ("default", "keys"):
            raise _Mistake(f"`{name}` is neither `default` nor `keys`")
    default = _limits(content.get("default"), "default", KeyLimits())
    keys = _mapping(content.get("keys"), "keys")
    return LimitsTable(
        default, {str(name): _limits(entry, f"keys.{name}", default) for name, entry in keys.items()}
    )


def _limits(entry: Any, place: str, default: KeyLimits) -> KeyLimits:
    changes: dict[str, Any] = {}
    for name, value in _mapping(entry, place).items():
        if name in NUMBERS:
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise _Mistake(f"{place}.{name} is {value!r}, but has to be a whole number from 0 on")
            changes[NUMBERS[name]] = value
        elif name == "models":
            if not isinstance(value, list) or not all(isinstance(model, str) for model in value):
                raise _Mistake(f"{place}.models has to be a list of models' ids")
            changes["models"] = tuple(value)
        else:
            raise _Mistake(f"{place}.{name} is not known; there are {', '.join(NUMBERS)} and models")
    return replace(default, **changes)


def _mapping(value: Any, place: str) -> dict[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Mistake(f"{place} has to be a mapping")
    return value


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())
