"""Checkpoints in `.bin` files as the image for Kepler's GPUs reads them, whose torch has no weights_only."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from openaisle_opt.old_torch import load_tensors


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_tensors_are_read(dtype: torch.dtype, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    state = {"a": torch.arange(6, dtype=dtype).reshape(2, 3), "b": torch.ones(2, dtype=dtype)}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    loaded = load_tensors(path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("was-run",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Bomb()}, "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError, match=r"mkdir, which is no part of a checkpoint"):
        load_tensors(Path("pytorch_model.bin"))
    assert not Path("was-run").exists()
