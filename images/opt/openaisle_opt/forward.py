"""A step as every rank computes it: numbers, tensors, the model.

Shapes: `T` tokens in the batch, `S` sequences, `W` blocks of the longest sequence.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import torch

from .attention import AttentionBatch, kernels_fit
from .kv_cache import KVCache
from .model import OptForCausalLM
from .scheduler import Batch


@dataclass(slots=True)
class Inputs:
    """All that a step takes, in a form that travels to other processes."""

    copies: list[tuple[int, int]]
    """Blocks to copy (from, to) before anything else."""
    num_decodes: int
    """Sequences with exactly one token, at the beginning."""
    query_lens: list[int]
    """[S]: tokens of each sequence in this step."""
    context_lens: list[int]
    """[S]: tokens of each sequence up to and including this step's last."""
    token_numbers: array[int]
    """int64 [3, T]: token ids, positions, slots in the cache."""
    sequence_numbers: array[int]
    """int32: where each sequence's tokens begin [S + 1], `context_lens` [S], block tables [S, W]."""


def inputs_of(batch: Batch, block_size: int) -> Inputs:
    """What the model is given for a batch of the scheduler."""
    token_ids, positions, slots = array("q"), array("q"), array("q")
    query_starts = array("i", [0])
    query_lens: list[int] = []
    context_lens: list[int] = []
    tables = array("i")
    width = max([len(chunk.sequence.block_ids) for chunk in batch.chunks])
    padding = array("i", [0]) * width
    num_decodes = 0
    for chunk in batch.chunks:
        sequence, start, num_tokens = chunk.sequence, chunk.start, chunk.num_tokens
        block_ids = sequence.block_ids
        end = start + num_tokens
        if num_tokens == 1 and num_decodes == len(query_lens):
            num_decodes += 1
            token_ids.append(sequence.token_ids[start])
            positions.append(start)
            slots.append(block_ids[start // block_size] * block_size + start % block_size)
        else:
            token_ids.extend(sequence.token_ids[start:end])
            positions.extend(range(start, end))
            slots.extend(
                [block_ids[p // block_size] * block_size + p % block_size for p in range(start, end)]
            )
        query_starts.append(len(token_ids))
        query_lens.append(num_tokens)
        context_lens.append(end)
        tables.extend(block_ids)
        tables.extend(padding[len(block_ids) :])
    token_ids.extend(positions)
    token_ids.extend(slots)
    query_starts.extend(context_lens)
    query_starts.extend(tables)
    return Inputs(batch.copies, num_decodes, query_lens, context_lens, token_ids, query_starts)


class Forward:
    """The model and its cache."""

    def __init__(self, model: OptForCausalLM, cache: KVCache):
        self.model = model
        self.cache = cache
        self._device = model.place.device
        self._use_kernels = kernels_fit(cache.layers[0])

    @torch.inference_mode()
    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """[T, hidden]; the keys and values are kept"""
        if inputs.copies:
            self.cache.copy(inputs.copies)
        token_ids, positions, slots = self.tensor(inputs.token_numbers, torch.int64).view(3, -1)
        numbers = self.tensor(inputs.sequence_numbers, torch.int32)
        num_sequences = len(inputs.query_lens)
        batch = AttentionBatch(
            use_kernels=self._use_kernels,
            num_decodes=inputs.num_decodes,
            query_lens=inputs.query_lens,
            context_lens=inputs.context_lens,
            slots=slots,
            query_starts_tensor=numbers[: num_sequences + 1],
            context_lens_tensor=numbers[num_sequences + 1 : 2 * num_sequences + 1],
            block_tables=numbers[2 * num_sequences + 1 :].view(num_sequences, -1),
        )
        return self.model(token_ids, positions, self.cache.layers, batch)

    def tensor(self, values: array[int] | array[float], dtype: torch.dtype) -> torch.Tensor:
        """A tensor on the model's device, without a Python object for each number."""
        return torch.frombuffer(values, dtype=dtype).to(self._device)
