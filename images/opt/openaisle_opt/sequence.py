"""A request, and the sequences of tokens that its samples are.

Plain values without torch: the scheduler moves them, the runner reads them.
"""

from __future__ import annotations

import random
import time
from array import array

from .protocol import Sampling, Submit, TokenLogprobs

_MASK = (1 << 64) - 1


def _mix(value: int) -> int:
    """Scatter 64 bits (the finalizer of splitmix64), so that neighbouring counters are unrelated."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Request:
    """One prompt and what is wanted of it."""

    def __init__(self, message: Submit, number: int):
        self.request_id = message.request_id
        self.prompt_token_ids = message.prompt_token_ids
        self.sampling: Sampling = message.sampling
        self.number = number
        """Place in the order of arrival."""
        self.arrival_s = time.monotonic()
        self.queue_seconds: float | None = None
        """Set when the prompt's first tokens are scheduled."""
        self.seed = message.sampling.seed if message.sampling.seed is not None else random.getrandbits(63)
        self.needs_logprob = message.sampling.logprobs is not None or message.num_samples > 1
        """Whether the log-probability of the chosen tokens is worth computing."""
        self.num_cached_tokens = 0
        self.wanted_samples = list(range(message.num_samples))
        """Samples that were neither ended nor cancelled."""
        self.prompt_done = False
        self.prompt_logprobs: list[TokenLogprobs | None] = [None]
        self.sequences: list[Sequence] = [Sequence(self, 0)]
        """One that computes the prompt; when it is done, one for each sample."""

    @property
    def wants_prompt_logprobs(self) -> bool:
        """Whether logits of the prompt's own positions are still needed."""
        return self.sampling.prompt_logprobs is not None and not self.prompt_done


class Sequence:
    """The tokens of one sample, and where their keys and values are kept."""

    def __init__(self, request: Request, sample: int):
        self.request = request
        self.token_ids = list(request.prompt_token_ids)
        self.num_prompt_tokens = len(self.token_ids)
        self.num_computed_tokens = 0
        """Tokens whose keys and values are in the cache."""
        self.block_ids = array("i")
        self.block_hashes: list[bytes] = []
        """Of the full blocks, as far as they have been needed."""
        self.cumulative_logprob = 0.0
        self.token_counts: dict[int, int] = {}
        """How often each token was generated; kept only for a request with penalties."""
        self._counts_tokens = bool(request.sampling.presence_penalty or request.sampling.frequency_penalty)
        self.become_sample(sample)

    def become_sample(self, sample: int) -> None:
        """Take the place of a sample: its number and its stream of random numbers."""
        self.sample = sample
        self.order = (self.request.number, sample)
        """First come, first served."""
        self._random_key = _mix(_mix(self.request.seed & _MASK) ^ sample)

    def fork(self, sample: int) -> Sequence:
        """Another sample with the same tokens. The cache is the caller's concern."""
        other = Sequence(self.request, sample)
        other.block_hashes = list(self.block_hashes)
        return other

    def uniform(self) -> float:
        """The random number in [0, 1) that chooses the next token, a multiple of 2**-24.

        It depends on the seed, the sample and the position alone: not on the batch, nor on how often
        the sequence has been preempted.
        """
        return (_mix(self._random_key + len(self.token_ids)) >> 40) * 2.0**-24

    @property
    def num_uncomputed_tokens(self) -> int:
        return len(self.token_ids) - self.num_computed_tokens

    @property
    def num_generated_tokens(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    def append(self, token_id: int, logprob: float) -> None:
        """Add a generated token."""
        self.token_ids.append(token_id)
        self.cumulative_logprob += logprob
        if self._counts_tokens:
            self.token_counts[token_id] = self.token_counts.get(token_id, 0) + 1
