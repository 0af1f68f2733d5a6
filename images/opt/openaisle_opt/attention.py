"""Attention over keys and values that are kept in blocks.

Shapes: `T` tokens in the batch, `S` sequences, `W` blocks of the longest sequence, `P` blocks in the
cache, `H` heads, `B` tokens in a block, `D` head size, `L` tokens of context.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from . import kernels

_GATHER_ELEMENTS = 1 << 24
"""Keys that the plain path takes out of the cache at a time."""
_SCORE_ELEMENTS = 1 << 24
"""Scores of one prompt that the plain path keeps at a time."""


@dataclass(slots=True)
class AttentionBatch:
    """Where the tokens of a step stand. Sequences with one token come first."""

    use_kernels: bool
    """Whether the C++ kernels know this machine and this cache (`kernels_fit`)."""
    num_decodes: int
    """Sequences with exactly one token, at the beginning."""
    query_lens: list[int]
    """Tokens of each sequence in this step; their sum is T."""
    context_lens: list[int]
    """Tokens of each sequence up to and including this step's last."""
    slots: torch.Tensor
    """int64 [T]: block * B + offset of each token."""
    block_tables: torch.Tensor
    """int32 [S, W]; beyond a sequence's own blocks any valid number."""
    query_starts_tensor: torch.Tensor
    """int32 [S + 1]"""
    context_lens_tensor: torch.Tensor
    """int32 [S]"""


Cache = tuple[torch.Tensor, torch.Tensor]
"""Keys [P, H, D, B] and values [P, H, B, D] of one layer."""


def kernels_fit(cache: Cache) -> bool:
    """Whether the C++ kernels can be used with a cache."""
    _, _, head_size, block_size = cache[0].shape
    is_aligned = head_size % 16 == 0 and block_size % 16 == 0
    return cache[0].device.type == "cpu" and is_aligned and kernels.available()


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, cache: Cache, batch: AttentionBatch, scale: float
) -> torch.Tensor:
    """Keep this step's keys and values, and let each query see its sequence up to itself.

    q, k, v: [T, H, D] -> [T, H * D]
    """
    if batch.use_kernels:
        kernels.store_kv(k, v, cache[0], cache[1], batch.slots)
        return kernels.paged_attention(
            q,
            cache[0],
            cache[1],
            batch.block_tables,
            batch.query_starts_tensor,
            batch.context_lens_tensor,
            scale,
        )
    return plain_attend(q, k, v, cache, batch, scale)


def plain_attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, cache: Cache, batch: AttentionBatch, scale: float
) -> torch.Tensor:
    """`attend` with torch's own operations, on any device."""
    block_size = cache[1].shape[2]
    blocks = torch.div(batch.slots, block_size, rounding_mode="floor")
    offsets = batch.slots - blocks * block_size
    cache[0][blocks, :, :, offsets] = k.to(cache[0].dtype)
    cache[1][blocks, :, offsets] = v.to(cache[1].dtype)
    q = q * scale  # before the product, which could overflow float16
    num_tokens, num_heads, head_size = q.shape
    out = q.new_empty(num_tokens, num_heads, head_size)
    num_decodes = batch.num_decodes
    if num_decodes:
        _decode(q[:num_decodes], cache, batch, out[:num_decodes])
    begin = num_decodes
    for index in range(num_decodes, len(batch.query_lens)):
        end = begin + batch.query_lens[index]
        _prefill(q[begin:end], cache, batch.block_tables[index], batch.context_lens[index], out[begin:end])
        begin = end
    return out.view(num_tokens, num_heads * head_size)


def _gather(
    cache: Cache, block_tables: torch.Tensor, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys [S, H, D, L] and values [S, H, L, D] in the blocks [S, W], in `dtype`; L = W * B."""
    num_sequences, width = block_tables.shape
    _, num_heads, block_size, head_size = cache[1].shape
    flat, length = block_tables.reshape(-1), width * block_size
    keys = cache[0].index_select(0, flat).view(num_sequences, width, num_heads, head_size, block_size)
    values = cache[1].index_select(0, flat).view(num_sequences, width, num_heads, block_size, head_size)
    return (
        keys.to(dtype).permute(0, 2, 3, 1, 4).reshape(num_sequences, num_heads, head_size, length),
        values.to(dtype).transpose(1, 2).reshape(num_sequences, num_heads, length, head_size),
    )


def _decode(q: torch.Tensor, cache: Cache, batch: AttentionBatch, out: torch.Tensor) -> None:
    """One query for each sequence, as many sequences at a time as memory allows."""
    block_size = cache[1].shape[2]
    context_lens = batch.context_lens[: q.shape[0]]
    width = -(-max(context_lens) // block_size)
    group = max(1, _GATHER_ELEMENTS // (width * block_size * q.shape[1] * q.shape[2]))
    for begin in range(0, q.shape[0], group):
        end = min(begin + group, q.shape[0])
        length = max(context_lens[begin:end])
        tables = batch.block_tables[begin:end, : -(-length // block_size)]
        keys, values = _gather(cache, tables, q.dtype)
        scores = torch.matmul(q[begin:end].unsqueeze(2), keys).squeeze(2)  # [S, H, L]
        positions = torch.arange(keys.shape[3], device=q.device)
        hidden = positions >= batch.context_lens_tensor[begin:end].unsqueeze(1)  # [S, L]
        scores = scores.masked_fill_(hidden.unsqueeze(1), float("-inf"))
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
        out[begin:end] = torch.matmul(weights.unsqueeze(2), values).squeeze(2)


def _prefill(q: torch.Tensor, cache: Cache, table: torch.Tensor, length: int, out: torch.Tensor) -> None:
    """The queries [n, H, D] of one sequence, which are the last n of its `length` tokens."""
    block_size = cache[1].shape[2]
    table = table[: -(-length // block_size)].unsqueeze(0)
    gathered_keys, gathered_values = _gather(cache, table, q.dtype)
    keys, values = gathered_keys[0, :, :, :length], gathered_values[0, :, :length]
    first = length - q.shape[0]
    positions = torch.arange(length, device=q.device)
    step = max(1, _SCORE_ELEMENTS // (length * q.shape[1]))
    for begin in range(0, q.shape[0], step):
        queries = q[begin : begin + step].transpose(0, 1)  # [H, n, D]
        visible = first + begin + queries.shape[1]
        hidden = positions[:visible] > positions[first + begin : visible].unsqueeze(1)  # [n, L]
        scores = torch.matmul(queries, keys[:, :, :visible])
        scores = scores.masked_fill_(hidden, float("-inf"))
        weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
        out[begin : begin + step] = torch.matmul(weights, values[:, :visible]).transpose(0, 1)
