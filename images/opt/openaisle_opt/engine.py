"""The loop's one step: schedule, run, keep, and tell what came of it.

Knows nothing of sockets and texts; see engine_process for the loop itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from .errors import EngineError, reason_of
from .protocol import Cancel, Failure, Prompt, Stats, Step, Submit, Token
from .runner import Choice, Runner
from .scheduler import Batch, Chunk, NeverRuns, Scheduler
from .sequence import Request, Sequence

_log = logging.getLogger(__name__)


class Engine:
    """Requests in, events out."""

    def __init__(
        self, scheduler: Scheduler, runner: Runner, *, vocab_size: int, eos_token_ids: Collection[int]
    ):
        self._scheduler = scheduler
        self._runner = runner
        self._vocab_size = vocab_size
        self._eos_token_ids = frozenset(eos_token_ids)
        self._requests: dict[str, Request] = {}
        self._num_requests = 0
        self._num_prompt_tokens = 0
        self._num_generated_tokens = 0
        self._events = Step([], [], [], self.stats())
        self._is_changed = False

    def close(self) -> None:
        """End the processes that work for this one."""
        self._runner.close()

    @property
    def has_work(self) -> bool:
        """Whether `step` would compute something, or has something to tell."""
        return self._scheduler.has_work or self._is_changed

    def submit(self, message: Submit) -> None:
        """Take in a request; one that can never run fails with the next step."""
        self._is_changed = True
        request = Request(message, self._num_requests)
        self._num_requests += 1
        try:
            self._check_token_ids(message)
            self._scheduler.add(request)
        except NeverRuns as error:
            self._events.failures.append(Failure(message.request_id, str(error)))
            return
        self._requests[message.request_id] = request

    def _check_token_ids(self, message: Submit) -> None:
        """A token that is not in the vocabulary would fail the whole batch.

        Raises:
            NeverRuns: the prompt or the bias names one.
        """
        for token_id in (*message.prompt_token_ids, *message.sampling.logit_bias):
            if not 0 <= token_id < self._vocab_size:
                raise NeverRuns(
                    f"Token {token_id} is not in the model's vocabulary of {self._vocab_size} tokens."
                )

    def cancel(self, message: Cancel) -> None:
        """Drop one sample or all of a request; its blocks are free at once."""
        request = self._requests.get(message.request_id)
        if request is None:
            return
        self._is_changed = True
        if message.sample is None or request.wanted_samples == [message.sample]:
            self._drop(request)
        elif message.sample in request.wanted_samples:
            request.wanted_samples.remove(message.sample)
            if request.prompt_done:
                for sequence in [s for s in request.sequences if s.sample == message.sample]:
                    self._scheduler.finish(sequence)

    def step(self) -> Step | None:
        """Compute one batch. Returns what there is to tell, None if there is nothing."""
        batch = self._scheduler.schedule()
        if batch.chunks:
            self._run(batch)
        if not self._is_changed:
            return None
        events, self._events = self._events, Step([], [], [], self.stats())
        self._is_changed = False
        return Step(events.prompts, events.tokens, events.failures, self.stats())

    def stats(self) -> Stats:
        scheduler = self._scheduler
        return Stats(
            num_running=len(scheduler.running),
            num_waiting=len(scheduler.waiting),
            num_free_blocks=scheduler.pool.num_free,
            num_blocks=scheduler.pool.num_blocks,
            num_preemptions=scheduler.num_preemptions,
            prompt_tokens=self._num_prompt_tokens,
            generated_tokens=self._num_generated_tokens,
            cached_prompt_tokens=scheduler.num_cached_prompt_tokens,
        )

    def _run(self, batch: Batch) -> None:
        now = time.monotonic()
        for chunk in batch.chunks:
            request = chunk.sequence.request
            if request.queue_seconds is None:
                request.queue_seconds = now - request.arrival_s
        try:
            output = self._runner.run(batch)
        except Exception as error:
            if _is_beyond_repair(error):
                raise
            _log.exception("a step failed")
            message = f"The engine failed while it computed this request ({reason_of(error)})."
            for chunk in batch.chunks:
                self._fail(chunk.sequence.request, message)
            return
        self._scheduler.advance(batch)
        for chunk, choices, logprobs in zip(
            batch.chunks, output.choices, output.prompt_logprobs, strict=True
        ):
            request = chunk.sequence.request
            if chunk.prompt_logprobs:
                request.prompt_logprobs.extend(logprobs)
            if request.prompt_done:
                sequences = [chunk.sequence]
            else:
                self._num_prompt_tokens += chunk.num_tokens
                if chunk.start + chunk.num_tokens < chunk.sequence.num_prompt_tokens:
                    continue
                sequences = self._finish_prompt(chunk)
            for sequence, choice in zip(sequences, choices, strict=False):
                self._append(sequence, choice)

    def _finish_prompt(self, chunk: Chunk) -> list[Sequence]:
        """Tell that a prompt is computed; returns the sequences of its samples."""
        request = chunk.sequence.request
        self._is_changed = True
        self._events.prompts.append(
            Prompt(
                request.request_id,
                request.num_cached_tokens,
                request.queue_seconds or 0.0,
                request.prompt_logprobs if request.wants_prompt_logprobs else None,
            )
        )
        sequences = self._scheduler.fork(chunk.sequence)
        if request.sampling.max_tokens == 0:
            self._drop(request)
        return sequences

    def _append(self, sequence: Sequence, choice: Choice) -> None:
        request = sequence.request
        if request.request_id not in self._requests:
            return  # another of its samples has failed in this step
        if not choice.is_finite:
            self._fail(request, "The model's output was not a number; a higher-precision --dtype may help.")
            return
        self._is_changed = True
        self._num_generated_tokens += 1
        sequence.append(choice.token_id, choice.logprob)
        finish_reason = None
        if choice.token_id in self._eos_token_ids and not request.sampling.ignore_eos:
            finish_reason = "stop"
        elif sequence.num_generated_tokens >= request.sampling.max_tokens:
            finish_reason = "length"
        self._events.tokens.append(
            Token(
                request.request_id,
                sequence.sample,
                choice.token_id,
                sequence.cumulative_logprob,
                choice.logprobs,
                finish_reason,
            )
        )
        if finish_reason is not None:
            request.wanted_samples.remove(sequence.sample)
            self._scheduler.finish(sequence)
            if not request.wanted_samples:
                del self._requests[request.request_id]

    def _drop(self, request: Request) -> None:
        del self._requests[request.request_id]
        for sequence in list(request.sequences):
            self._scheduler.finish(sequence)

    def _fail(self, request: Request, message: str) -> None:
        """Fail a request once, whichever of its samples is the cause."""
        if request.request_id in self._requests:
            self._is_changed = True
            self._events.failures.append(Failure(request.request_id, message))
            self._drop(request)


def _is_beyond_repair(error: Exception) -> bool:
    """Whether a device or a rank is lost with the error, so that no later step can succeed."""
    return isinstance(error, EngineError) or any(
        f"{what} error" in str(error) for what in ("CUDA", "HIP", "NCCL")
    )
