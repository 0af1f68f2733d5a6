"""A batch of the scheduler -> hidden states -> logits -> tokens and log-probabilities.

Shapes: `T` tokens in the batch, `S` sequences, `R` rows of logits, `V` vocabulary.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence as Many
from dataclasses import dataclass

import torch

from . import sampler
from .forward import Forward, inputs_of
from .protocol import TokenLogprobs
from .ranks import leave
from .scheduler import Batch, Chunk
from .sequence import Sequence
from .workers import Workers

_LOGITS_ELEMENTS = 1 << 23
"""Logits that one operation makes or copies: 32 MiB. Prompts have more, and so have the first tokens of
hundreds of samples, which all are drawn in the step that ends their prompts."""


@dataclass(slots=True)
class Choice:
    """The token that one sample goes on with."""

    token_id: int
    is_finite: bool
    """False when the model's logits were not numbers; then the token means nothing."""
    logprob: float = 0.0
    """0 when the request needs none."""
    logprobs: TokenLogprobs | None = None


@dataclass(slots=True)
class StepOutput:
    """What a step brought: for each of the batch's chunks its samples' tokens and, where wanted, its
    positions' log-probabilities."""

    choices: list[list[Choice]]
    prompt_logprobs: list[list[TokenLogprobs]]


class Runner:
    """Runs the model over batches, on all ranks. Holds the model and the cache, and no request."""

    def __init__(self, forward: Forward, workers: Workers | None):
        """`workers`: the other ranks, if there are any."""
        self.model = forward.model
        self.device = forward.model.place.device
        self._forward = forward
        self._tensor = forward.tensor
        self._workers = workers

    @torch.inference_mode()
    def run(self, batch: Batch) -> StepOutput:
        """Compute the batch's tokens, keep their keys and values, and choose the samples' next tokens."""
        hidden = self._compute(batch)
        ends = []
        end = 0
        for chunk in batch.chunks:
            end += chunk.num_tokens
            ends.append(end)
        prompt_logprobs = [
            self._prompt_logprobs(hidden[end - chunk.num_tokens : end], chunk)
            if chunk.prompt_logprobs
            else []
            for chunk, end in zip(batch.chunks, ends, strict=True)
        ]
        return StepOutput(self._choose(hidden, batch.chunks, ends), prompt_logprobs)

    def close(self) -> None:
        """End the other ranks, so that this process can belong to others."""
        if self._workers is not None:
            self._workers.close()
            leave()

    def _compute(self, batch: Batch) -> torch.Tensor:
        """[T, hidden]

        Raises:
            EngineError: a rank could not do its part, so that the ranks' caches are no longer alike.
        """
        inputs = inputs_of(batch, self._forward.cache.block_size)
        if self._workers is None:
            return self._forward(inputs)
        self._workers.send(inputs)
        try:
            return self._forward(inputs)
        except Exception as error:
            raise self._workers.failure(error) from error

    def _prompt_logprobs(self, hidden: torch.Tensor, chunk: Chunk) -> list[TokenLogprobs]:
        """Log-probabilities of the prompt's tokens that follow the chunk's positions [n, hidden].

        The vocabulary is projected for some rows at a time: all of a long prompt's logits would take
        hundreds of MiB.
        """
        sequence = chunk.sequence
        following = sequence.token_ids[chunk.start + 1 : chunk.start + chunk.num_tokens + 1]
        following = following[: sequence.num_prompt_tokens - chunk.start - 1]
        top = sequence.request.sampling.prompt_logprobs
        step = max(1, _LOGITS_ELEMENTS // self.model.config.vocab_size)
        entries: list[TokenLogprobs] = []
        for begin in range(0, len(following), step):
            token_ids = following[begin : begin + step]
            logits = self.model.logits(hidden[begin : begin + len(token_ids)])
            chosen = self._tensor(array("q", token_ids), torch.int64)
            entries.extend(_entries(logits, sampler.log_normalizers(logits), chosen, top or 0))
        return entries

    def _choose(self, hidden: torch.Tensor, chunks: Many[Chunk], ends: list[int]) -> list[list[Choice]]:
        """The next tokens of all samples of all chunks."""
        rows = [end - 1 for chunk, end in zip(chunks, ends, strict=True) if chunk.samples]
        if not rows:
            return [[] for _ in chunks]
        if len(rows) < hidden.shape[0]:
            hidden = hidden[self._tensor(array("q", rows), torch.int64)]
        logits = self.model.logits(hidden)
        drawers: list[Sequence] = []
        repeats = array("q")
        for row, chunk in enumerate([chunk for chunk in chunks if chunk.samples]):
            repeats.extend([row] * len(chunk.samples))
            if chunk.samples == [chunk.sequence.sample]:
                drawers.append(chunk.sequence)
            else:
                drawers.extend(map(chunk.sequence.fork, chunk.samples))
        parted = len(drawers) > len(rows)
        choices: list[Choice] = []
        step = max(1, _LOGITS_ELEMENTS // logits.shape[1])
        for begin in range(0, len(drawers), step):
            end = begin + step
            some = logits[self._tensor(repeats[begin:end], torch.int64)] if parted else logits[begin:end]
            choices.extend(self._draw(some, drawers[begin:end]))
        drawn = iter(choices)
        return [[next(drawn) for _ in chunk.samples] for chunk in chunks]

    def _draw(self, logits: torch.Tensor, drawers: list[Sequence]) -> list[Choice]:
        """One token a row of float32 [R, V], for the sequences that the rows belong to."""
        token_ids, finite = self._draw_tokens(self._adjusted(logits, drawers), drawers)
        choices = list(map(Choice, token_ids.tolist(), finite.tolist()))
        wanted = [row for row, sequence in enumerate(drawers) if sequence.request.needs_logprob]
        if wanted:
            if len(wanted) < len(drawers):
                index = self._tensor(array("q", wanted), torch.int64)
                logits, token_ids = logits[index], token_ids[index]
            top = max([drawers[row].request.sampling.logprobs or 0 for row in wanted])
            entries = _entries(logits, sampler.log_normalizers(logits), token_ids, top)
            for row, entry in zip(wanted, entries, strict=True):
                choice, count = choices[row], drawers[row].request.sampling.logprobs
                choice.logprob = entry.logprob
                if count is not None:
                    choice.logprobs = TokenLogprobs(
                        entry.logprob, entry.top_token_ids[:count], entry.top_logprobs[:count]
                    )
        return choices

    def _adjusted(self, logits: torch.Tensor, drawers: list[Sequence]) -> torch.Tensor:
        """The logits after bias and penalties; the same tensor if there are none."""
        rows, token_ids, amounts = array("q"), array("q"), array("f")
        for row, sequence in enumerate(drawers):
            sampling = sequence.request.sampling
            if sampling.logit_bias:
                rows.extend([row] * len(sampling.logit_bias))
                token_ids.extend(sampling.logit_bias.keys())
                amounts.extend(sampling.logit_bias.values())
            if sequence.token_counts:
                rows.extend([row] * len(sequence.token_counts))
                token_ids.extend(sequence.token_counts.keys())
                presence, frequency = sampling.presence_penalty, sampling.frequency_penalty
                amounts.extend([-presence - frequency * n for n in sequence.token_counts.values()])
        if not rows:
            return logits
        return sampler.adjust(
            logits,
            self._tensor(rows, torch.int64),
            self._tensor(token_ids, torch.int64),
            self._tensor(amounts, torch.float32),
        )

    def _draw_tokens(
        self, logits: torch.Tensor, drawers: list[Sequence]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and finiteness of the rows, each drawn in its sequence's manner."""
        greedy, plain, nucleus = array("q"), array("q"), array("q")
        for row, sequence in enumerate(drawers):
            sampling = sequence.request.sampling
            if sampling.temperature < sampler.MIN_TEMPERATURE or sampling.top_p <= 0:
                greedy.append(row)
            elif sampling.top_p >= 1:
                plain.append(row)
            else:
                nucleus.append(row)
        if len(greedy) == len(drawers):
            return sampler.greedy(logits)
        token_ids = torch.empty(len(drawers), dtype=torch.int64, device=self.device)
        finite = torch.empty(len(drawers), dtype=torch.bool, device=self.device)
        if greedy:
            index = self._tensor(greedy, torch.int64)
            token_ids[index], finite[index] = sampler.greedy(logits[index])
        if plain:
            index = self._tensor(plain, torch.int64)
            chosen = logits if len(plain) == len(drawers) else logits[index]
            temperatures, _, uniforms = self._numbers(plain, drawers)
            token_ids[index], finite[index] = sampler.sample(chosen, temperatures, uniforms)
        if nucleus:
            index = self._tensor(nucleus, torch.int64)
            temperatures, top_ps, uniforms = self._numbers(nucleus, drawers)
            token_ids[index], finite[index] = sampler.sample_nucleus(
                logits[index], temperatures, top_ps, uniforms
            )
        return token_ids, finite

    def _numbers(self, rows: Many[int], drawers: list[Sequence]) -> torch.Tensor:
        """float32 [3, R]: temperature, top_p and random number of each row"""
        numbers = array("f")
        for row in rows:
            numbers.append(drawers[row].request.sampling.temperature)
        for row in rows:
            numbers.append(drawers[row].request.sampling.top_p)
        for row in rows:
            numbers.append(drawers[row].uniform())
        return self._tensor(numbers, torch.float32).view(3, -1)


def _entries(
    logits: torch.Tensor, normalizers: torch.Tensor, token_ids: torch.Tensor, count: int
) -> list[TokenLogprobs]:
    """For each row [R, V] its token's log-probability and the likeliest `count` tokens."""
    logprobs = sampler.token_logprobs(logits, normalizers, token_ids).tolist()
    if count == 0:
        return list(map(TokenLogprobs, logprobs))
    top_ids, top_values = sampler.top_logprobs(logits, normalizers, min(count, logits.shape[-1]))
    return list(map(TokenLogprobs, logprobs, top_ids.tolist(), top_values.tolist()))
