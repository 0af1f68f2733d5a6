"""The OPT architecture. Parameters have the checkpoint's names, fused ones apart (`FUSED`).

Shapes: `T` tokens in the batch, `H` heads, `D` head size, `R` rows whose logits are wanted,
`V` vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from . import kernels
from .attention import AttentionBatch, Cache, attend
from .linear import PackedLinear, activation_dtype
from .memory import Arena
from .ranks import ALONE, Ranks

FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj")}
"""Parameter here -> the checkpoint's parameters that are its rows, in this order."""

DIVIDED = {"q_proj": 0, "k_proj": 0, "v_proj": 0, "fc1": 0, "out_proj": 1, "fc2": 1}
"""The checkpoint's linear layers that are divided between ranks -> the dimension of their weights [N, K].

With features out (0) goes the bias; where it is features in (1), the ranks' results are summed. All else each
rank has whole."""

POSITION_OFFSET = 2
"""The first rows of the position table are not used: a heritage of padding in fairseq."""


@dataclass(frozen=True)
class OptConfig:
    """What config.json says about the shape of the model."""

    vocab_size: int
    hidden_size: int
    ffn_dim: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    word_embed_proj_dim: int
    do_layer_norm_before: bool
    remove_final_layer_norm: bool
    activation_function: str
    enable_bias: bool
    layer_norm_elementwise_affine: bool
    tie_word_embeddings: bool

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def num_parameters(self, num_ranks: int = 1) -> int:
        """Of each rank. About: without biases and norms."""
        layer = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.ffn_dim
        embeddings = self.vocab_size * self.word_embed_proj_dim * (1 if self.tie_word_embeddings else 2)
        positions = self.max_position_embeddings * self.hidden_size
        return self.num_hidden_layers * layer // num_ranks + embeddings + positions


@dataclass(frozen=True)
class Placement:
    """Where a model's parameters are, in which dtype, and which part of them."""

    dtype: torch.dtype
    device: torch.device
    ranks: Ranks = ALONE


def _linear(
    in_features: int, out_features: int, bias: bool, place: Placement, activation: str | None = None
) -> PackedLinear:
    return PackedLinear(
        in_features, out_features, bias=bias, dtype=place.dtype, device=place.device, activation=activation
    )


class SummedLinear(PackedLinear):
    """A linear layer of which each rank has some of the features in, so that the ranks' results add up."""

    def __init__(self, in_features: int, out_features: int, bias: bool, place: Placement):
        ranks = place.ranks
        super().__init__(
            ranks.share(in_features),
            out_features,
            bias=bias and ranks.is_first,  # it is added once
            dtype=place.dtype,
            device=place.device,
        )
        self._ranks = ranks

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """This rank's features [M, K] -> [M, N], the same on all ranks"""
        if self._ranks.size == 1:
            return super().forward(x, residual)
        y = self._ranks.sum(super().forward(x))
        return y if residual is None else residual + y


class LayerNorm(nn.Module):
    """Layer norm over the last dimension; with `affine` False without weight and bias."""

    def __init__(self, size: int, affine: bool, place: Placement):
        super().__init__()
        self.size = (size,)
        dtype = activation_dtype(place.dtype, place.device)
        self.weight = self.bias = None
        if affine:
            self.weight = nn.Parameter(
                torch.empty(size, dtype=dtype, device=place.device), requires_grad=False
            )
            self.bias = nn.Parameter(torch.empty(size, dtype=dtype, device=place.device), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.size, self.weight, self.bias)


class Embedding(nn.Module):
    """Rows of a table, in the dtype of activations."""

    def __init__(self, num_rows: int, size: int, place: Placement):
        super().__init__()
        self.shape = num_rows, size
        self.weight: nn.Parameter | None = nn.Parameter(
            torch.empty(num_rows, size, dtype=place.dtype, device=place.device), requires_grad=False
        )
        self._packed: torch.Tensor | None = None
        self._dtype = activation_dtype(place.dtype, place.device)

    def read_from(self, head: PackedLinear) -> None:
        """Give up the table: the packed head has the same rows."""
        self.weight, self._packed = None, head.packed

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        if self._packed is not None:
            return kernels.unpack_rows(self._packed, self.shape, indices)
        assert self.weight is not None
        return F.embedding(indices, self.weight).to(self._dtype)


class OptAttention(nn.Module):
    """Multi-head attention with queries, keys and values from one projection, for the heads of this rank."""

    def __init__(self, config: OptConfig, place: Placement):
        super().__init__()
        size = config.hidden_size
        self.num_heads = place.ranks.share(config.num_attention_heads)
        self.head_size = config.head_size
        self.scale = config.head_size**-0.5
        self.qkv_proj = _linear(size, 3 * self.num_heads * self.head_size, config.enable_bias, place)
        self.out_proj = SummedLinear(size, size, config.enable_bias, place)

    def forward(
        self, x: torch.Tensor, residual: torch.Tensor, cache: Cache, batch: AttentionBatch
    ) -> torch.Tensor:
        """[T, hidden] -> [T, hidden], the residual added"""
        q, k, v = self.qkv_proj(x).view(-1, 3, self.num_heads, self.head_size).unbind(1)
        return self.out_proj(attend(q, k, v, cache, batch, self.scale), residual)


class OptDecoderLayer(nn.Module):
    """One layer; its norms come before the parts, or after them in the shape of OPT-350m."""

    def __init__(self, config: OptConfig, place: Placement):
        super().__init__()
        size, affine = config.hidden_size, config.layer_norm_elementwise_affine
        inner = place.ranks.share(config.ffn_dim)
        self.norm_before = config.do_layer_norm_before
        self.self_attn = OptAttention(config, place)
        self.self_attn_layer_norm = LayerNorm(size, affine, place)
        self.fc1 = _linear(size, inner, config.enable_bias, place, config.activation_function)
        self.fc2 = SummedLinear(config.ffn_dim, size, config.enable_bias, place)
        self.final_layer_norm = LayerNorm(size, affine, place)
        self._weights: list[torch.Tensor | None] | None = None
        """All of them, if one call of the kernels computes the layer."""

    def forward(self, x: torch.Tensor, cache: Cache, batch: AttentionBatch) -> torch.Tensor:
        """[T, hidden] -> [T, hidden]"""
        if batch.use_kernels and self._weights is not None:
            return kernels.decoder_layer(
                x,
                self._weights,
                self.fc1.out_features,
                self.norm_before,
                *cache,
                batch.slots,
                batch.block_tables,
                batch.query_starts_tensor,
                batch.context_lens_tensor,
                self.self_attn.scale,
            )
        if self.norm_before:
            x = self.self_attn(self.self_attn_layer_norm(x), x, cache, batch)
            return self.fc2(self.fc1(self.final_layer_norm(x)), x)
        x = self.self_attn_layer_norm(self.self_attn(x, x, cache, batch))
        return self.final_layer_norm(self.fc2(self.fc1(x), x))

    def fuse(self) -> None:
        """Let one call of the kernels compute the layer. Its linear parts must be packed, and whole."""
        if self.fc1.activation != "relu":
            return
        attention = self.self_attn
        parts = [
            *(self.self_attn_layer_norm.weight, self.self_attn_layer_norm.bias),
            *(attention.qkv_proj.packed, attention.qkv_proj.bias),
            *(attention.out_proj.packed, attention.out_proj.bias),
            *(self.final_layer_norm.weight, self.final_layer_norm.bias),
            *(self.fc1.packed, self.fc1.bias),
            *(self.fc2.packed, self.fc2.bias),
        ]
        self._weights = [None if part is None else part.detach() for part in parts]


class OptDecoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, config: OptConfig, place: Placement):
        super().__init__()
        inner, outer = config.hidden_size, config.word_embed_proj_dim
        self.embed_tokens = Embedding(config.vocab_size, outer, place)
        self.embed_positions = Embedding(config.max_position_embeddings + POSITION_OFFSET, inner, place)
        self.project_in = self.project_out = None
        if outer != inner:
            self.project_in = _linear(outer, inner, False, place)
            self.project_out = _linear(inner, outer, False, place)
        self.layers = nn.ModuleList([OptDecoderLayer(config, place) for _ in range(config.num_hidden_layers)])
        self.final_layer_norm = None
        if config.do_layer_norm_before and not config.remove_final_layer_norm:
            self.final_layer_norm = LayerNorm(inner, config.layer_norm_elementwise_affine, place)

    def forward(
        self,
        token_ids: torch.Tensor,
        positions: torch.Tensor,
        caches: list[Cache],
        batch: AttentionBatch,
    ) -> torch.Tensor:
        """int64 [T], int64 [T] -> [T, hidden], before the final norm"""
        x = self.embed_tokens(token_ids)
        if self.project_in is not None:
            x = self.project_in(x)
        x = x + self.embed_positions(positions + POSITION_OFFSET)
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, cache, batch)
        return x

    def finish(self, x: torch.Tensor) -> torch.Tensor:
        """[R, hidden] -> [R, embedding size], ready for the head"""
        if self.final_layer_norm is not None:
            x = self.final_layer_norm(x)
        return x if self.project_out is None else self.project_out(x)


class OptForCausalLM(nn.Module):
    """OPT with its head, which is the token embedding unless the checkpoint brings its own."""

    def __init__(self, config: OptConfig, place: Placement):
        super().__init__()
        self.config = config
        self.place = place
        self.decoder = OptDecoder(config, place)
        self.lm_head = _linear(config.word_embed_proj_dim, config.vocab_size, False, place)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.decoder.embed_tokens.weight

    def pack(self) -> None:
        """Bring all weights into the form that is fastest here. Call once, when they are loaded."""
        if self.place.device.type != "cpu" or not kernels.available():
            return
        linears = [module for module in self.modules() if isinstance(module, PackedLinear)]
        arena = Arena(sum(Arena.size_of(linear.packed_shape, self.place.dtype) for linear in linears))
        for linear in linears:
            linear.pack(arena)
        if self.config.tie_word_embeddings:
            self.decoder.embed_tokens.read_from(self.lm_head)
        for module in self.modules():
            if isinstance(module, OptDecoderLayer) and self.place.ranks.size == 1:
                module.fuse()

    def forward(
        self,
        token_ids: torch.Tensor,
        positions: torch.Tensor,
        caches: list[Cache],
        batch: AttentionBatch,
    ) -> torch.Tensor:
        """int64 [T], int64 [T] -> [T, hidden]; `logits` turns chosen rows into logits"""
        return self.decoder(token_ids, positions, caches, batch)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[R, hidden] -> float32 [R, V]"""
        return self.lm_head(self.decoder.finish(hidden)).float()
