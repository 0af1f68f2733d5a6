"""Ranks: the processes that share one model, each with a GPU and a part of every layer.

A layer is cut as in Megatron-LM (https://arxiv.org/abs/1909.08053): its heads and the inner features of its
feed-forward part are divided between the ranks, so that it takes two sums over all ranks and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from . import old_torch

_TIMEOUT = timedelta(minutes=5)
"""How long a rank waits for the others within a sum: they differ by far less than a step takes."""


@dataclass(frozen=True)
class Ranks:
    """How many there are, and which of them this process is."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that schedules, samples, and speaks to the server."""
        return self.rank == 0

    def share(self, count: int) -> int:
        """How many of `count` heads or features are this rank's."""
        assert count % self.size == 0
        return count // self.size

    def part(self, whole: torch.Tensor, dimension: int) -> torch.Tensor:
        """This rank's part of a tensor of the checkpoint: a view, of which the rest is not read."""
        length = self.share(whole.shape[dimension])
        return whole.narrow(dimension, self.rank * length, length)

    def sum(self, part: torch.Tensor) -> torch.Tensor:
        """The sum of all ranks' tensors, in place of this rank's. All must call it."""
        if self.size > 1:
            distributed.all_reduce(part)
        return part


ALONE = Ranks()


def join(ranks: Ranks, folder: Path, device: torch.device) -> None:
    """Meet the other ranks in a folder that is theirs alone. Returns when all reach each other."""
    for library in ("GLOO", "NCCL"):  # all ranks are on this machine: nobody else can connect to them
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo")
    old_torch.bound_nccl()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    store = distributed.FileStore(str(folder / "ranks"), ranks.size)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=ranks.rank,
        world_size=ranks.size,
        timeout=_TIMEOUT,
    )
    # The first sum connects them and takes what memory they need for it, before anybody asks what is free.
    ranks.sum(torch.zeros(1, device=device)).item()


def leave() -> None:
    """Undo `join`. Not where a process ends anyhow: NCCL may wait for ranks that are gone."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
