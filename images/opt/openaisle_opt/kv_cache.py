"""The tensors that keep keys and values, in blocks.

Shapes: `P` blocks, `H` heads of this rank, `B` tokens in a block, `D` head size.
"""

from __future__ import annotations

from functools import partial

import torch

from .errors import SettingsError
from .memory import GIB, Arena, dtype_size
from .model import OptConfig, Placement


class KVCache:
    """Keys [P, H, D, B] and values [P, H, B, D] of every layer.

    Keys are transposed, so that a query meets all keys of a block at once.
    """

    def __init__(self, config: OptConfig, num_blocks: int, block_size: int, place: Placement):
        heads, size = place.ranks.share(config.num_attention_heads), config.head_size
        dtype, device = place.dtype, place.device
        self.num_blocks = num_blocks
        self.block_size = block_size
        shapes = (num_blocks, heads, size, block_size), (num_blocks, heads, block_size, size)
        if device.type == "cpu":
            num_bytes = config.num_hidden_layers * sum(Arena.size_of(shape, dtype) for shape in shapes)
            take = _arena(num_bytes).take
        else:
            take = partial(torch.zeros, device=device)
        self.layers = [
            (take(shapes[0], dtype=dtype), take(shapes[1], dtype=dtype))
            for _ in range(config.num_hidden_layers)
        ]

    def copy(self, pairs: list[tuple[int, int]]) -> None:
        """Copy blocks (from, to), all sources being read before anything is written."""
        device = self.layers[0][0].device
        sources, targets = torch.tensor(pairs, dtype=torch.int64).T.to(device)
        for layer in self.layers:
            for cache in layer:
                cache.index_copy_(0, targets, cache.index_select(0, sources))


def _arena(num_bytes: int) -> Arena:
    try:
        return Arena(num_bytes)
    except OSError as error:
        raise SettingsError(
            f"The KV cache cannot get {num_bytes / GIB:.2f} GiB ({error.strerror}); "
            "give it less with --kv-cache-gib."
        ) from None


def choose_num_blocks(
    config: OptConfig,
    *,
    block_size: int,
    dtype: torch.dtype,
    max_model_len: int,
    max_num_seqs: int,
    available_bytes: int,
    kv_cache_gib: float | None,
) -> int:
    """How many blocks to keep: what was asked for, or half of the memory that is available.

    Never more than `max_num_seqs` sequences of `max_model_len` tokens can use.

    Raises:
        SettingsError: not even one sequence of `max_model_len` tokens would fit.
    """
    token_bytes = 2 * config.num_hidden_layers * config.hidden_size * dtype_size(dtype)
    block_bytes = token_bytes * block_size
    blocks_for_one = -(-max_model_len // block_size)
    budget = available_bytes / 2 if kv_cache_gib is None else kv_cache_gib * GIB
    num_blocks = min(int(budget / block_bytes), blocks_for_one * max_num_seqs)
    if num_blocks < blocks_for_one:
        asked = "half of the free memory" if kv_cache_gib is None else "--kv-cache-gib"
        raise SettingsError(
            f"The KV cache has {budget / GIB:.2f} GiB ({asked}), but one sequence of {max_model_len} tokens "
            f"takes {blocks_for_one * block_bytes / GIB:.2f} GiB; give it more with --kv-cache-gib, or allow "
            f"shorter ones with --max-model-len {max(1, int(budget / block_bytes)) * block_size}."
        )
    return num_blocks
