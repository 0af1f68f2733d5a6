"""Who runs in the next step, and who has to wait.

First come, first served. A step first gives every sequence that generates its one token; what is
left of the token budget goes to prompts, in chunks. When the KV cache is full, the youngest running
sequence gives up its blocks and computes its tokens again later. No torch in here.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from operator import attrgetter

from .blocks import ROOT_HASH, BlockPool, hash_block
from .sequence import Request, Sequence

_ORDER = attrgetter("order")


class NeverRuns(ValueError):
    """The request can never run, whatever else does; the text says why."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The tokens of one sequence that a step computes."""

    sequence: Sequence
    start: int
    """Position of the first of them."""
    num_tokens: int
    samples: list[int]
    """Samples that get a token from the logits of the last position: several where samples part."""
    prompt_logprobs: bool
    """Whether the positions' own log-probabilities are wanted."""


@dataclass(slots=True)
class Batch:
    """What one step computes: sequences that generate first, then chunks of prompts."""

    chunks: list[Chunk] = field(default_factory=list)
    copies: list[tuple[int, int]] = field(default_factory=list)
    """Blocks to copy, from and to, all at once and before anything is computed."""


class Scheduler:
    """Moves sequences between waiting and running, and keeps their blocks."""

    def __init__(
        self,
        pool: BlockPool,
        *,
        max_num_seqs: int,
        max_num_batched_tokens: int,
        max_model_len: int,
        prefix_caching: bool = True,
    ):
        self.pool = pool
        self.max_num_seqs = max_num_seqs
        self.max_num_batched_tokens = max_num_batched_tokens
        self.max_model_len = max_model_len
        self.prefix_caching = prefix_caching
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []
        self.num_preemptions = 0
        self.num_cached_prompt_tokens = 0

    @property
    def has_work(self) -> bool:
        return bool(self.running or self.waiting)

    def add(self, request: Request) -> None:
        """Queue a request.

        Raises:
            NeverRuns: it is empty, longer than the context, or larger than the whole cache.
        """
        num_prompt_tokens = len(request.prompt_token_ids)
        num_tokens = num_prompt_tokens + request.sampling.max_tokens
        if num_prompt_tokens == 0:
            raise NeverRuns("The prompt holds no token.")
        if num_tokens > self.max_model_len:
            raise NeverRuns(
                f"Prompt and completion take {num_tokens} tokens, but the model's context holds "
                f"{self.max_model_len}; ask for fewer."
            )
        num_blocks = self.pool.num_blocks_for(num_tokens)
        if num_blocks > self.pool.num_blocks:
            raise NeverRuns(
                f"Prompt and completion take {num_blocks} blocks of the KV cache, which has only "
                f"{self.pool.num_blocks}; ask for fewer tokens or start with a larger --kv-cache-gib."
            )
        insort(self.waiting, request.sequences[0], key=_ORDER)

    def schedule(self) -> Batch:
        """Choose what the next step computes; empty if there is nothing to do."""
        batch = Batch()
        budget = self.max_num_batched_tokens
        num_preemptions = self.num_preemptions
        budget -= self._schedule_generation(batch, budget)
        budget -= self._schedule_prompts(batch, budget)
        if self.num_preemptions == num_preemptions:  # else whoever had to go would come back at once
            self._admit(batch, budget)
        return batch

    def _schedule_generation(self, batch: Batch, budget: int) -> int:
        """Give each sequence that generates its next token; returns the tokens used."""
        index = 0
        while index < len(self.running) and len(batch.chunks) < budget:
            sequence = self.running[index]
            # Only younger sequences, behind `index`, or the sequence itself can lose their place here.
            if sequence.num_uncomputed_tokens == 1 and self._make_room_for_token(sequence, batch):
                batch.chunks.append(self._chunk(sequence, 1))
            index += 1
        return len(batch.chunks)

    def _make_room_for_token(self, sequence: Sequence, batch: Batch) -> bool:
        """Let the sequence own the block of its next token; False if it lost its place instead."""
        block_ids = sequence.block_ids
        index = sequence.num_computed_tokens // self.pool.block_size
        while True:
            if index < len(block_ids):
                shared = block_ids[index]
                if not self.pool.is_shared(shared):
                    return True
                if self.pool.num_free:  # samples part in the middle of a block
                    block_ids[index] = self.pool.allocate()
                    batch.copies.append((shared, block_ids[index]))
                    self.pool.release([shared])
                    return True
            elif self.pool.num_free:
                block_ids.append(self.pool.allocate())
                return True
            youngest = self.running.pop()
            self._preempt(youngest)
            if youngest is sequence:
                return False

    def _preempt(self, sequence: Sequence) -> None:
        self._drop_blocks(sequence)
        if sequence.request.wants_prompt_logprobs:
            del sequence.request.prompt_logprobs[1:]
        insort(self.waiting, sequence, key=_ORDER)
        self.num_preemptions += 1

    def _schedule_prompts(self, batch: Batch, budget: int) -> int:
        """Go on with prompts that have begun; returns the tokens used."""
        pending = [sequence for sequence in self.running if sequence.num_uncomputed_tokens > 1]
        used = 0
        for index, sequence in enumerate(pending):
            others = index + 1 < len(pending) or bool(self.waiting)
            num_tokens = self._share(sequence, budget - used, others)
            if num_tokens == 0:
                break
            batch.chunks.append(self._chunk(sequence, num_tokens))
            used += num_tokens
        return used

    def _admit(self, batch: Batch, budget: int) -> None:
        """Let waiting sequences begin while there are places, blocks and budget."""
        while self.waiting and budget > 0 and len(self.running) < self.max_num_seqs:
            sequence = self.waiting[0]
            if not self._allocate(sequence):
                return
            del self.waiting[0]
            insort(self.running, sequence, key=_ORDER)
            num_tokens = self._share(sequence, budget, bool(self.waiting))
            batch.chunks.append(self._chunk(sequence, num_tokens))
            budget -= num_tokens

    def _share(self, sequence: Sequence, budget: int, others_wait: bool) -> int:
        """Tokens of a prompt for this step: a long one leaves half of the budget to those behind it."""
        num_tokens = sequence.num_uncomputed_tokens
        if others_wait and num_tokens > budget:
            return (budget + 1) // 2
        return min(num_tokens, budget)

    def _allocate(self, sequence: Sequence) -> bool:
        """Take blocks for all tokens that the sequence has, with those of a known prefix."""
        pool = self.pool
        cached = [] if sequence.request.wants_prompt_logprobs else pool.find(self._prefix_hashes(sequence))
        num_new = pool.num_blocks_for(len(sequence.token_ids)) - len(cached)
        num_available = pool.num_free - sum(map(pool.is_free, cached))
        # Each running sequence may need a block soon; without room for it somebody would be preempted.
        if num_new + len(self.running) > num_available:
            return False
        pool.hold(cached)
        sequence.block_ids.extend(cached)
        sequence.block_ids.extend([pool.allocate() for _ in range(num_new)])
        sequence.num_computed_tokens = len(cached) * pool.block_size
        request = sequence.request
        if not request.prompt_done:
            request.num_cached_tokens = sequence.num_computed_tokens
        return True

    def _prefix_hashes(self, sequence: Sequence) -> list[bytes]:
        """Hashes of the blocks that need not be computed; the last token always is, for its logits."""
        if not self.prefix_caching:
            return []
        num_blocks = (len(sequence.token_ids) - 1) // self.pool.block_size
        self._extend_hashes(sequence, num_blocks)
        return sequence.block_hashes[:num_blocks]

    def _extend_hashes(self, sequence: Sequence, num_blocks: int) -> None:
        size = self.pool.block_size
        hashes = sequence.block_hashes
        for index in range(len(hashes), num_blocks):
            tokens = sequence.token_ids[index * size : (index + 1) * size]
            hashes.append(hash_block(hashes[-1] if hashes else ROOT_HASH, tokens))

    def _chunk(self, sequence: Sequence, num_tokens: int) -> Chunk:
        request = sequence.request
        is_last = num_tokens == sequence.num_uncomputed_tokens
        samples: list[int] = []
        if is_last and request.sampling.max_tokens > 0:
            samples = [sequence.sample] if request.prompt_done else request.wanted_samples[:]
        return Chunk(
            sequence, sequence.num_computed_tokens, num_tokens, samples, request.wants_prompt_logprobs
        )

    def advance(self, batch: Batch) -> None:
        """Note that the batch has been computed, before its new tokens are appended."""
        size = self.pool.block_size
        for chunk in batch.chunks:
            sequence = chunk.sequence
            sequence.num_computed_tokens += chunk.num_tokens
            if self.prefix_caching:
                num_full = sequence.num_computed_tokens // size
                self._extend_hashes(sequence, num_full)
                for index in range(chunk.start // size, num_full):
                    self.pool.remember(sequence.block_ids[index], sequence.block_hashes[index])

    def fork(self, sequence: Sequence) -> list[Sequence]:
        """Let the samples of a request part, once its prompt has been computed.

        Returns a sequence for each sample still wanted, the given one among them. They share its
        blocks; those without a place wait, as if they had been preempted.
        """
        request = sequence.request
        request.prompt_done = True
        self.num_cached_prompt_tokens += request.num_cached_tokens
        first, *rest = request.wanted_samples
        sequence.become_sample(first)
        for sample in rest:
            other = sequence.fork(sample)
            request.sequences.append(other)
            if len(self.running) < self.max_num_seqs:
                self.pool.hold(sequence.block_ids)
                other.block_ids.extend(sequence.block_ids)
                other.num_computed_tokens = sequence.num_computed_tokens
                insort(self.running, other, key=_ORDER)
            else:
                insort(self.waiting, other, key=_ORDER)
        return list(request.sequences)

    def finish(self, sequence: Sequence) -> None:
        """Drop a sequence, wherever it is, and free its blocks."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)
        self._drop_blocks(sequence)
        sequence.request.sequences.remove(sequence)

    def _drop_blocks(self, sequence: Sequence) -> None:
        self.pool.release(sequence.block_ids)
        del sequence.block_ids[:]
        sequence.num_computed_tokens = 0
