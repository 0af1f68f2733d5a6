"""The linear kernel beside torch's own linear layer."""

from __future__ import annotations

import pytest
import torch
from openaisle_opt import kernels
from torch.nn import functional as F

DTYPES = [torch.bfloat16, torch.float16, torch.float32]


def reference(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    residual: torch.Tensor | None = None,
    relu: bool = False,
) -> torch.Tensor:
    """The same in double precision, of what the kernel multiplies: a CPU may round x to bfloat16 too."""
    x = x.bfloat16() if kernels.narrows(weight.dtype) else x
    y = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    y = F.relu(y) if relu else y
    return y if residual is None else y + residual.double()


def packed(weight: torch.Tensor) -> torch.Tensor:
    panels = torch.zeros(kernels.packed_shape(tuple(weight.shape), weight.dtype), dtype=weight.dtype)
    kernels.pack_linear(weight, panels)
    return panels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("features_in", "features_out"), [(768, 3072), (33, 50), (512, 1024), (1, 1), (257, 15)]
)
def test_any_number_of_rows_agrees_with_torch(
    dtype: torch.dtype, features_in: int, features_out: int
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(features_out, features_in).to(dtype)
    panels = packed(weight)
    for rows in [*range(9), 12, 13, 31, 64, 70, 96, 97, 200]:
        x = torch.randn(rows, features_in)
        y = kernels.linear(x, panels, features_out, None, None, False)
        torch.testing.assert_close(y.double(), reference(x, weight), atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 7, 130])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
def test_bias_relu_and_residual_come_in_this_order(
    dtype: torch.dtype, rows: int, relu: bool, with_residual: bool
) -> None:
    torch.manual_seed(1)
    x, weight, bias = torch.randn(rows, 40), torch.randn(70, 40).to(dtype), torch.randn(70)
    residual = torch.randn(rows, 70) if with_residual else None
    y = kernels.linear(x, packed(weight), 70, bias, residual, relu)
    torch.testing.assert_close(y.double(), reference(x, weight, bias, residual, relu), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_is_the_same_to_the_last_bit_whatever_is_computed_with_it(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    x, weight, bias = torch.randn(150, 300), torch.randn(100, 300).to(dtype), torch.randn(100)
    panels = packed(weight)
    whole = kernels.linear(x, panels, 100, bias, None, True)
    for rows in (1, 2, 3, 5, 6, 7, 32, 97):
        for begin in range(0, 150 - rows, 31):
            part = kernels.linear(x[begin : begin + rows], panels, 100, bias, None, True)
            assert torch.equal(part, whole[begin : begin + rows])


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_come_out_of_a_packed_weight_as_they_went_in(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    weight = torch.randn(70, 33).to(dtype)
    rows = torch.tensor([0, 69, 15, 16, 15, 64])
    assert torch.equal(kernels.unpack_rows(packed(weight), (70, 33), rows), weight[rows].float())
    with pytest.raises(RuntimeError, match="row 70 is outside of the weight"):
        kernels.unpack_rows(packed(weight), (70, 33), torch.tensor([0, 70]))


def test_a_value_that_is_not_a_number_stays_visible() -> None:
    x, weight = torch.full((1, 16), float("nan")), torch.ones(16, 16)
    assert kernels.linear(x, packed(weight), 16, None, None, True).isnan().all()


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    panels = packed(torch.randn(50, 32))
    with pytest.raises(RuntimeError, match="packed weight does not fit"):
        kernels.linear(torch.randn(2, 33), panels, 50, None, None, False)
    with pytest.raises(RuntimeError, match="x has the wrong type"):
        kernels.linear(torch.randn(2, 32).bfloat16(), panels, 50, None, None, False)
    with pytest.raises(RuntimeError, match="bias has the wrong type"):
        kernels.linear(torch.randn(2, 32), panels, 50, torch.randn(49), None, False)
    with pytest.raises(RuntimeError, match="residual has the wrong type"):
        kernels.linear(torch.randn(2, 32), panels, 50, None, torch.randn(3, 50), False)
