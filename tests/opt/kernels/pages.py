"""Caches and batches of made-up sequences."""

from __future__ import annotations

import itertools

import torch
from openaisle_opt.attention import AttentionBatch, Cache


def make_cache(num_blocks: int, heads: int, block_size: int, head_size: int, dtype: torch.dtype) -> Cache:
    return (
        torch.randn(num_blocks, heads, head_size, block_size).to(dtype),
        torch.randn(num_blocks, heads, block_size, head_size).to(dtype),
    )


def make_batch(lens: list[tuple[int, int]], block_size: int) -> AttentionBatch:
    """Sequences given by (queries, context), single queries first, in blocks of random order."""
    width = max(-(-context // block_size) for _, context in lens)
    tables = torch.randperm(len(lens) * width).view(len(lens), width).to(torch.int32)
    positions = [range(context - queries, context) for queries, context in lens]
    slots = [
        int(tables[s, p // block_size]) * block_size + p % block_size
        for s, ps in enumerate(positions)
        for p in ps
    ]
    return AttentionBatch(
        use_kernels=True,
        num_decodes=sum(queries == 1 for queries, _ in lens),
        query_lens=[queries for queries, _ in lens],
        context_lens=[context for _, context in lens],
        slots=torch.tensor(slots),
        block_tables=tables,
        query_starts_tensor=torch.tensor(
            [0, *itertools.accumulate(queries for queries, _ in lens)], dtype=torch.int32
        ),
        context_lens_tensor=torch.tensor([context for _, context in lens], dtype=torch.int32),
    )
