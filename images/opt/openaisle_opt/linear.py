"""Linear layers whose weights may be kept in another form than they are stored in.

Shapes: `M` rows, `K` features in, `N` features out.

On a CPU activations are float32 whatever the weights are (the kernels may round what they multiply),
so that a row's result does not depend on how many rows are computed with it. On other devices
activations have the weights' dtype.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from . import kernels
from .memory import Arena

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
}

_WIDEN_ELEMENTS = 1 << 18
"""Weights that the plain path widens to float32 at a time: 1 MiB, so that they stay in the cache."""


def activation_dtype(weight_dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype of activations, biases and norms beside weights of `weight_dtype`."""
    return torch.float32 if device.type == "cpu" else weight_dtype


class PackedLinear(nn.Module):
    """y = activation(x W^T + b) + residual.

    `weight` [N, K] and `bias` [N] are filled by whoever loads the checkpoint; where there are kernels,
    `pack` follows, once.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool,
        dtype: torch.dtype,
        device: torch.device,
        activation: str | None = None,
    ):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.activation = activation
        self.weight: nn.Parameter | None = nn.Parameter(
            torch.empty(out_features, in_features, dtype=dtype, device=device), requires_grad=False
        )
        self.bias = (
            nn.Parameter(
                torch.empty(out_features, dtype=activation_dtype(dtype, device), device=device),
                requires_grad=False,
            )
            if bias
            else None
        )
        self.packed: torch.Tensor | None = None

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """Of the form that the kernels want."""
        assert self.weight is not None
        return kernels.packed_shape((self.out_features, self.in_features), self.weight.dtype)

    def pack(self, arena: Arena) -> None:
        """Bring the weight into the form that the kernels want."""
        assert self.weight is not None
        self.packed = arena.take(self.packed_shape, self.weight.dtype)
        kernels.pack_linear(self.weight.detach(), self.packed)
        self.weight = None

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """[M, K] -> [M, N]"""
        if self.packed is not None:
            relu = self.activation == "relu"
            if self.activation is None or relu:
                return kernels.linear(x, self.packed, self.out_features, self.bias, residual, relu)
            y = kernels.linear(x, self.packed, self.out_features, self.bias, None, False)
        else:
            assert self.weight is not None
            y = _linear(x, self.weight, self.bias)
        if self.activation is not None:
            y = ACTIVATIONS[self.activation](y)
        return y if residual is None else residual + y


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x W^T + b, with weights of x's dtype or narrower ones."""
    if weight.dtype == x.dtype:
        return F.linear(x, weight, bias)
    y = x.new_empty(x.shape[0], weight.shape[0])
    num_rows = max(1, _WIDEN_ELEMENTS // weight.shape[1])
    for begin in range(0, weight.shape[0], num_rows):
        end = begin + num_rows
        y[:, begin:end] = F.linear(
            x, weight[begin:end].to(x.dtype), None if bias is None else bias[begin:end]
        )
    return y
