"""The tensors that keep keys and values, in blocks.

Shapes: `P` blocks, `H` heads, `B` tokens in a block, `D` head size.
"""

from __future__ import annotations

import mmap

import torch

from .errors import SettingsError
from .model import OptConfig

GIB = 1024**3


class KVCache:
    """Keys [P, H, D, B] and values [P, H, B, D] of every layer.

    Keys are transposed, so that a query meets all keys of a block at once.
    """

    def __init__(
        self, config: OptConfig, num_blocks: int, block_size: int, *, dtype: torch.dtype, device: torch.device
    ):
        heads, size = config.num_attention_heads, config.head_size
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.layers = [
            (
                _zeros((num_blocks, heads, size, block_size), dtype, device),
                _zeros((num_blocks, heads, block_size, size), dtype, device),
            )
            for _ in range(config.num_hidden_layers)
        ]

    def copy(self, pairs: list[tuple[int, int]]) -> None:
        """Copy blocks (from, to), all sources being read before anything is written."""
        device = self.layers[0][0].device
        sources, targets = torch.tensor(pairs, dtype=torch.int64).T.to(device)
        for layer in self.layers:
            for cache in layer:
                cache.index_copy_(0, targets, cache.index_select(0, sources))


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Zeros; on a CPU in pages that take no memory before they are written."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    num_elements = 1
    for size in shape:
        num_elements *= size
    num_bytes = num_elements * dtype_size(dtype)
    try:
        memory = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise SettingsError(
            f"The KV cache cannot get {num_bytes / GIB:.2f} GiB for a layer ({error.strerror}); "
            "give it less with --kv-cache-gib."
        ) from None
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def dtype_size(dtype: torch.dtype) -> int:
    """Bytes of an element."""
    return torch.empty(0, dtype=dtype).element_size()


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
