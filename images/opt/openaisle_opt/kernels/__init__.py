"""Operations in C++ for CPUs, beside the plain ones in torch."""

from __future__ import annotations

import torch


def available() -> bool:
    """Whether the operations are built and run on this CPU."""
    return False


def pack_linear(weight: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError


def linear(
    x: torch.Tensor,
    packed: torch.Tensor,
    out_features: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    relu: bool,
) -> torch.Tensor:
    raise NotImplementedError


def store_kv(
    k: torch.Tensor, v: torch.Tensor, k_cache: torch.Tensor, v_cache: torch.Tensor, slots: torch.Tensor
) -> None:
    raise NotImplementedError


def paged_attention(
    q: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    block_tables: torch.Tensor,
    query_starts: torch.Tensor,
    context_lens: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    raise NotImplementedError
