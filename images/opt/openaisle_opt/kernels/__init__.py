"""Linear layers and paged attention in C++, for x86-64 CPUs with AVX2, AVX-512 or AVX512_BF16.

`python -m openaisle_opt.kernels.build` compiles them; where that was not done, or the CPU is
another one, `available` is False and the engine uses torch's own operations (`linear._linear`,
`attention.plain_attend`), which give the same results within rounding.

Activations are float32, weights and caches bfloat16, float16 or float32, sums float32. Where the CPU
multiplies bfloat16, activations are rounded to it before they meet bfloat16 weights (`narrows`). A row's
result is the same to the last bit whatever other rows are computed with it.

Shapes: `M` rows, `K` features in, `N` features out; `T` tokens in the batch, `S` sequences, `P`
blocks of the cache, `H` heads, `B` tokens in a block, `D` head size. B and D are multiples of 16.
"""

from __future__ import annotations

import functools
import logging

import torch

from .library import library_path

_log = logging.getLogger(__name__)


@functools.cache
def available() -> bool:
    """Whether the kernels are built and this CPU can run them. Loads them the first time."""
    path = library_path()
    if not path.exists():
        return False
    try:
        torch.ops.load_library(str(path))
    except OSError as error:
        _log.warning("The kernels in %s cannot be loaded (%s); torch's own operations are used.", path, error)
        return False
    return torch.ops.openaisle.is_supported()


def set_num_threads(num_threads: int) -> None:
    """Threads for one operation, the calling one included; 0 takes as many as torch has.

    They are the kernels' own: an operation never waits for one that gets no core. Give torch itself
    one thread then, or its OpenMP threads spin on the cores that these want.
    """
    torch.ops.openaisle.set_num_threads(num_threads)


def narrows(weight_dtype: torch.dtype) -> bool:
    """Whether activations are rounded to bfloat16 for a weight, and multiplied two at a time."""
    return weight_dtype == torch.bfloat16 and torch.ops.openaisle.has_pairs()


def packed_shape(weight_shape: tuple[int, ...], dtype: torch.dtype) -> tuple[int, int, int, int]:
    """[panels, K / depth, panel, depth]: the form in which `linear` reads a weight [N, K].

    It is cut into panels of N, which are transposed, and padded. The depth is 2 where the CPU multiplies
    pairs of bfloat16, else 1.
    """
    size = torch.ops.openaisle.panel_size()
    depth = 2 if narrows(dtype) else 1
    return -(-weight_shape[0] // size), -(-weight_shape[1] // depth), size, depth


def pack_linear(weight: torch.Tensor, packed: torch.Tensor) -> None:
    """Write a weight [N, K] to zeros of the shape that `packed_shape` gives."""
    num_rows, (size, depth) = weight.shape[0], packed.shape[2:]
    num_full = num_rows // size
    for place in range(depth):
        columns = weight[:, place::depth]
        panels = packed[:, : columns.shape[1], :, place]
        panels[:num_full].copy_(columns[: num_full * size].unflatten(0, (num_full, size)).transpose(1, 2))
        if num_rows > num_full * size:
            panels[num_full, :, : num_rows - num_full * size].copy_(columns[num_full * size :].T)


def linear(
    x: torch.Tensor,
    packed: torch.Tensor,
    out_features: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    relu: bool,
) -> torch.Tensor:
    """relu(x W^T + bias) + residual; x [M, K] -> [M, N], all float32 but the packed weight."""
    return torch.ops.openaisle.linear.default(x, packed, out_features, bias, residual, relu)


def unpack_rows(packed: torch.Tensor, weight_shape: tuple[int, int], indices: torch.Tensor) -> torch.Tensor:
    """The rows that `indices` (int64 [T]) name of a packed weight [N, K]: [T, K] float32."""
    return torch.ops.openaisle.unpack_rows.default(packed, *weight_shape, indices)


def store_kv(
    k: torch.Tensor, v: torch.Tensor, k_pages: torch.Tensor, v_pages: torch.Tensor, slots: torch.Tensor
) -> None:
    """Write keys and values [T, H, D] to their slots, int64 [T], each block * B + place in the block.

    k_pages is [P, H, D, B] (transposed, as the kernel reads it), v_pages [P, H, B, D].
    """
    torch.ops.openaisle.store_kv.default(k, v, k_pages, v_pages, slots)


def paged_attention(
    q: torch.Tensor,
    k_pages: torch.Tensor,
    v_pages: torch.Tensor,
    block_tables: torch.Tensor,
    query_starts: torch.Tensor,
    context_lens: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """softmax(scale q k^T) v over the pages, for prompts and single tokens alike.

    Sequence s has the queries query_starts[s] to query_starts[s + 1] of q [T, H, D]; they are the
    last of its context_lens[s] tokens, and each sees the tokens up to itself. Gives [T, H * D].

    block_tables: int32 [S, blocks]; query_starts: int32 [S + 1]; context_lens: int32 [S].
    """
    return torch.ops.openaisle.paged_attention.default(
        q, k_pages, v_pages, block_tables, query_starts, context_lens, scale
    ).flatten(1)


def decoder_layer(
    x: torch.Tensor,
    weights: list[torch.Tensor | None],
    ffn_dim: int,
    norm_before: bool,
    k_pages: torch.Tensor,
    v_pages: torch.Tensor,
    slots: torch.Tensor,
    block_tables: torch.Tensor,
    query_starts: torch.Tensor,
    context_lens: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """A whole decoder layer with ReLU, x [T, H * D] -> [T, H * D], in one call.

    `weights` are weight and bias of attention's norm, the projection to q, k and v, the one out of
    attention, the final norm, fc1 and fc2; those of linear layers are packed. Pages and batch are those of
    `store_kv` and `paged_attention`.
    """
    return torch.ops.openaisle.decoder_layer.default(
        x,
        weights,
        ffn_dim,
        norm_before,
        k_pages,
        v_pages,
        slots,
        block_tables,
        query_starts,
        context_lens,
        scale,
    )
