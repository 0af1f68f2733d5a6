"""Where the files of a model lie: as the Hub's own client keeps them, so that both find them.

models--lab--opt/blobs/<digest>               a file's content
models--lab--opt/snapshots/<commit>/<name>    a link to it
models--lab--opt/refs/<revision>              the commit that a branch or tag meant
"""

from __future__ import annotations

import os
from pathlib import Path

from .client import RemoteFile


class ModelCache:
    """The folder of one model."""

    def __init__(self, cache: Path, model: str):
        name = f"models--{model.replace('/', '--')}"
        self._folder = cache / name
        self.lock = cache / ".locks" / name / "fetch.lock"

    def find(self, revision: str) -> Path | None:
        """The snapshot that `revision` meant when it was fetched, or None."""
        try:
            commit = (self._folder / "refs" / revision).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            commit = revision
        folder = self.snapshot(commit)
        return folder if folder.is_dir() else None

    def snapshot(self, commit: str) -> Path:
        """The folder that holds the files of a commit by their names."""
        return self._folder / "snapshots" / commit

    def blob(self, commit: str, file: RemoteFile) -> Path:
        """Where the content of `file` is kept."""
        folder = self._folder / "blobs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (file.digest or f"{commit}-{file.name}")

    def has(self, commit: str, file: RemoteFile) -> bool:
        """Whether `file` is there, and as long as it should be."""
        path = self.snapshot(commit) / file.name
        return path.is_file() and path.stat().st_size == file.num_bytes

    def place(self, commit: str, file: RemoteFile) -> None:
        """Give the content of `file` its name; on volumes without links it moves there."""
        blob, path = self.blob(commit, file), self.snapshot(commit) / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        link = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            link.symlink_to(os.path.relpath(blob, path.parent))
        except OSError:
            link = blob
        link.replace(path)

    def remember(self, revision: str, commit: str) -> None:
        """From now on `revision` means `commit`, also without a network."""
        if revision == commit:
            return
        path = self._folder / "refs" / revision
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(commit, encoding="utf-8")
        partial.replace(path)
