"""What torch before 1.13 lacks. The image for Kepler's GPUs has 1.12, the last for a CUDA of their drivers.

All else that the engine needs of torch, 1.12 has: newer features, as the kernels' stable interface, are asked
for where they are used, and done without.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import torch

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor_v2"),
    *(("torch", f"{kind}Storage") for kind in ("BFloat16", "Float", "Half")),
}


def load_tensors(path: Path) -> Any:
    """What a `.bin` file holds, as `torch.load` with weights_only reads it in newer versions.

    Raises:
        pickle.UnpicklingError: the file holds something else than a table of tensors, such as code to run.
    """
    return torch.load(path, map_location="cpu", pickle_module=_READER)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no part of a checkpoint")
        return super().find_class(module, name)


def _load(file: IO[bytes], **options: Any) -> Any:
    return _Unpickler(file, **options).load()


_READER = SimpleNamespace(__name__="reader", Unpickler=_Unpickler, load=_load)
"""What torch takes for the module `pickle`."""


def bound_nccl() -> None:
    """Let an operation of NCCL that waits longer than its timeout end the process, as later versions do."""
    if torch.__version__.startswith("1."):
        os.environ.setdefault("NCCL_ASYNC_ERROR_HANDLING", "1")
