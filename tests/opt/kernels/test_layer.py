"""A decoder layer in one call beside the same layer from its parts."""

from __future__ import annotations

import pytest
import torch
from openaisle_opt import kernels
from openaisle_opt.attention import AttentionBatch, Cache
from openaisle_opt.model import OptConfig, OptForCausalLM, Placement

from tests.opt.kernels.pages import make_batch, make_cache

DTYPES = [torch.bfloat16, torch.float16, torch.float32]
HEADS, HEAD_SIZE, FFN_DIM = 3, 16, 150


def make_model(dtype: torch.dtype, *, norm_before: bool = True, plain: bool = False) -> OptForCausalLM:
    """One layer with random weights; `plain` leaves out biases and the norms' weights."""
    config = OptConfig(
        vocab_size=50,
        hidden_size=HEADS * HEAD_SIZE,
        ffn_dim=FFN_DIM,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        max_position_embeddings=64,
        word_embed_proj_dim=HEADS * HEAD_SIZE,
        do_layer_norm_before=norm_before,
        remove_final_layer_norm=False,
        activation_function="relu",
        enable_bias=not plain,
        layer_norm_elementwise_affine=not plain,
        tie_word_embeddings=True,
    )
    model = OptForCausalLM(config, Placement(dtype, torch.device("cpu")))
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return model


def run_layer(
    model: OptForCausalLM, x: torch.Tensor, cache: Cache, batch: AttentionBatch
) -> tuple[torch.Tensor, Cache]:
    """The layer's output, and a copy of the cache with what it has written."""
    written = (cache[0].clone(), cache[1].clone())
    return model.decoder.layers[0](x, written, batch), written


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm_before", [True, False])
@pytest.mark.parametrize("plain", [True, False])
def test_one_call_agrees_with_the_parts(dtype: torch.dtype, norm_before: bool, plain: bool) -> None:
    torch.manual_seed(0)
    model = make_model(dtype, norm_before=norm_before, plain=plain)
    model.pack()
    batch = make_batch([(1, 1), (1, 33), (7, 7), (20, 50)], 16)
    cache = make_cache(int(batch.block_tables.max()) + 1, HEADS, 16, HEAD_SIZE, dtype)
    x = torch.randn(29, HEADS * HEAD_SIZE)
    batch.use_kernels = False
    expected, expected_cache = run_layer(model, x, cache, batch)

    batch.use_kernels = True
    y, written = run_layer(model, x, cache, batch)

    atol = 1e-2 if kernels.narrows(dtype) else 2e-3  # an activation's rounding more or less
    torch.testing.assert_close(y, expected, atol=atol, rtol=1e-3)
    for pages, expected_pages in zip(written, expected_cache, strict=True):
        torch.testing.assert_close(pages, expected_pages, atol=2e-2, rtol=1e-2)  # a rounding more or less


def test_a_row_is_the_same_to_the_last_bit_whatever_is_computed_with_it() -> None:
    torch.manual_seed(1)
    model = make_model(torch.bfloat16)
    model.pack()
    # More than go through the layer at a time.
    lens = [(1, 5), (1, 17), (9, 30), (500, 530), (13, 13), (400, 400)]
    batch = make_batch(lens, 16)
    cache = make_cache(int(batch.block_tables.max()) + 1, HEADS, 16, HEAD_SIZE, torch.bfloat16)
    x = torch.randn(sum(batch.query_lens), HEADS * HEAD_SIZE)
    together, _ = run_layer(model, x, cache, batch)
    begin = 0
    for index, (queries, context) in enumerate(lens):
        alone = make_batch([(queries, context)], 16)
        alone.block_tables = batch.block_tables[index : index + 1]
        alone.slots = batch.slots[begin : begin + queries]
        y, _ = run_layer(model, x[begin : begin + queries], cache, alone)
        assert torch.equal(y, together[begin : begin + queries])
        begin += queries


def test_a_norm_of_large_numbers_that_are_nearly_equal_keeps_their_differences() -> None:
    torch.manual_seed(2)
    model = make_model(torch.float32)
    model.pack()
    batch = make_batch([(4, 4)], 16)
    cache = make_cache(1, HEADS, 16, HEAD_SIZE, torch.float32)
    x = 1000 + torch.randn(4, HEADS * HEAD_SIZE)
    y, _ = run_layer(model, x, cache, batch)
    shifted, _ = run_layer(model, x - 1000, cache, batch)
    torch.testing.assert_close(y - 1000, shifted, atol=1e-2, rtol=1e-2)


def test_weights_that_do_not_fit_are_refused() -> None:
    model = make_model(torch.float32)
    model.pack()
    batch = make_batch([(1, 1)], 16)
    cache = make_cache(1, HEADS, 16, HEAD_SIZE, torch.float32)
    with pytest.raises(RuntimeError, match="x has the wrong type or size"):
        run_layer(model, torch.randn(1, 32), cache, batch)
    with pytest.raises(RuntimeError, match="weight has the wrong type or size"):
        run_layer(model, torch.randn(1, 64), make_cache(1, 4, 16, HEAD_SIZE, torch.float32), batch)
