"""A Hub for the tests of what fetches from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.hub import Hub
from opt.server.checkpoints import write_checkpoint


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A checkpoint in two formats, with files beside it that nobody needs."""
    folder = write_checkpoint(tmp_path / "source")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    files |= {"pytorch_model.bin": b"x" * 1000, "flax_model.msgpack": b"y", "README.md": b"z"}
    files["model.safetensors"] = bytes(range(250)) * 20
    with Hub(files) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
