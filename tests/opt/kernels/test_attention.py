"""Paged attention in C++ beside the plain one in torch."""

from __future__ import annotations

import math

import pytest
import torch
from openaisle_opt import kernels
from openaisle_opt.attention import AttentionBatch, Cache, plain_attend

from tests.opt.kernels.pages import make_batch, make_cache

DTYPES = [torch.bfloat16, torch.float16, torch.float32]


def attend(q: torch.Tensor, cache: Cache, batch: AttentionBatch) -> torch.Tensor:
    return kernels.paged_attention(
        q,
        *cache,
        batch.block_tables,
        batch.query_starts_tensor,
        batch.context_lens_tensor,
        1 / math.sqrt(q.shape[2]),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head_size", [16, 32, 48, 64, 80, 128, 256])
@pytest.mark.parametrize("block_size", [16, 32])
def test_prompts_and_single_tokens_agree_with_torch(
    dtype: torch.dtype, head_size: int, block_size: int
) -> None:
    torch.manual_seed(0)
    lens = [(1, 1), (1, 15), (1, 16), (1, 17), (1, 130), (5, 5), (6, 40), (37, 37), (13, 100)]
    batch = make_batch(lens, block_size)
    plain_cache = make_cache(int(batch.block_tables.max()) + 1, 3, block_size, head_size, dtype)
    cache = (plain_cache[0].clone(), plain_cache[1].clone())
    qkv = torch.randn(sum(batch.query_lens), 3 * 3 * head_size)  # as one layer computes them together
    q, k, v = (part.unflatten(1, (3, head_size)) for part in qkv.chunk(3, dim=1))
    scale = 1 / math.sqrt(head_size)

    expected = plain_attend(q, k, v, plain_cache, batch, scale)
    kernels.store_kv(k, v, *cache, batch.slots)
    out = attend(q, cache, batch)

    assert torch.equal(cache[0], plain_cache[0])
    assert torch.equal(cache[1], plain_cache[1])
    torch.testing.assert_close(out, expected, atol=2e-5, rtol=1e-4)


def test_a_query_is_the_same_to_the_last_bit_alone_and_within_a_prompt() -> None:
    torch.manual_seed(1)
    batch = make_batch([(50, 70)], 16)
    cache = make_cache(5, 4, 16, 64, torch.bfloat16)
    q = torch.randn(50, 4, 64)
    whole = attend(q, cache, batch)
    for i in range(50):
        alone = make_batch([(1, 21 + i)], 16)
        alone.block_tables = batch.block_tables
        assert torch.equal(attend(q[i : i + 1], cache, alone), whole[i : i + 1])


def test_a_query_is_the_same_to_the_last_bit_alone_and_beside_many() -> None:
    torch.manual_seed(3)
    batch = make_batch([(1, 1 + 7 * i) for i in range(40)], 16)
    cache = make_cache(int(batch.block_tables.max()) + 1, 5, 16, 32, torch.bfloat16)
    q = torch.randn(40, 5, 32)
    together = attend(q, cache, batch)
    for i, length in enumerate(batch.context_lens):
        alone = make_batch([(1, length)], 16)
        alone.block_tables = batch.block_tables[i : i + 1]
        assert torch.equal(attend(q[i : i + 1], cache, alone), together[i : i + 1])


def test_what_lies_beyond_the_end_of_a_sequence_is_not_seen() -> None:
    torch.manual_seed(2)
    batch = make_batch([(1, 21), (3, 21)], 16)
    cache = make_cache(4, 2, 16, 32, torch.float32)
    q = torch.randn(4, 2, 32)
    before = attend(q, cache, batch)
    for block in batch.block_tables[:, 1].tolist():
        cache[0][block, :, :, 5:] = float("nan")
        cache[1][block, :, 5:] = float("nan")
    assert torch.equal(attend(q, cache, batch), before)


def test_large_scores_do_not_overflow() -> None:
    batch = make_batch([(1, 40)], 16)
    cache = make_cache(3, 1, 16, 16, torch.float32)
    cache[0][:] *= 1000
    out = attend(torch.full((1, 1, 16), 100.0), cache, batch)
    keys = cache[0][batch.block_tables[0].long()].permute(1, 2, 0, 3).reshape(16, 48)[:, :40]
    best = int((keys.sum(0)).argmax())
    expected = cache[1][int(batch.block_tables[0, best // 16]), 0, best % 16]
    torch.testing.assert_close(out[0], expected)


def test_rounding_to_the_cache_is_that_of_torch() -> None:
    numbers = torch.tensor(
        [0.0, -0.0, 1.00390625, 1.01171875, 3.4e38, float("inf"), float("-inf"), 1e-40] * 2
    )
    for dtype in DTYPES:
        cache = make_cache(1, 1, 16, 16, dtype)
        kernels.store_kv(numbers.view(1, 1, 16), numbers.view(1, 1, 16), *cache, torch.tensor([3]))
        assert torch.equal(cache[0][0, 0, :, 3], numbers.to(dtype))
        assert torch.equal(cache[1][0, 0, 3], numbers.to(dtype))


def test_numbers_outside_of_the_cache_are_refused() -> None:
    batch = make_batch([(1, 17)], 16)
    cache = make_cache(2, 1, 16, 16, torch.float32)
    q = torch.randn(1, 1, 16)
    with pytest.raises(RuntimeError, match="slot 32 is outside"):
        kernels.store_kv(q, q, *cache, torch.tensor([32]))
    batch.block_tables[0, 1] = 2
    with pytest.raises(RuntimeError, match="block 2 is outside"):
        attend(q, cache, batch)
    batch.context_lens_tensor[0] = 33
    with pytest.raises(RuntimeError, match="more tokens than its blocks hold"):
        attend(q, cache, batch)
    with pytest.raises(RuntimeError, match="multiples of 16"):
        attend(torch.randn(1, 1, 8), make_cache(2, 1, 16, 8, torch.float32), make_batch([(1, 1)], 16))
