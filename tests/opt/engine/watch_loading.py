"""Loads the checkpoint in a folder, and prints the memory that it takes, as a list of bytes in JSON.

That of this process before each weight is packed, and at the end; then that of torch's parameters.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import torch
from openaisle_opt.memory import Arena
from openaisle_opt.model import Placement
from openaisle_opt.weights import load_model, read_config


def anonymous_bytes() -> int:
    """Memory of this process that is no file's."""
    (kibibytes,) = re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(kibibytes) * 1024


def main(folder: Path) -> None:
    sizes: list[int] = []
    take = Arena.take

    def noting_size(arena: Arena, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        sizes.append(anonymous_bytes())
        return take(arena, shape, dtype)

    Arena.take = noting_size  # type: ignore[method-assign]
    model = load_model(folder, read_config(folder), Placement(torch.float32, torch.device("cpu")))
    sizes.append(anonymous_bytes())
    print(json.dumps([*sizes, sum(parameter.nbytes for parameter in model.parameters())]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
