"""The answer to one request while the tokens of its choices come in."""

from __future__ import annotations

import time
import uuid

import msgspec

from ..detokenizer import StopStrings
from ..engine_client import Generation
from ..errors import AnswerTimedOut, EngineFailed
from ..protocol import Prompt, Token
from ..tokenizer import OptTokenizer
from . import sse
from .access_log import RequestRecord
from .choice import Choice
from .context import Context
from .prompts import EncodedPrompt
from .schema import CompletionRequest, Usage
from .shapes import Head, Shape, ShapedChoice


class Answer:
    """Choices in the order of their indices: sample j of prompt i is choice i * best_of + j."""

    def __init__(
        self,
        wanted: CompletionRequest,
        prompts: list[EncodedPrompt],
        shape: Shape,
        generation: Generation,
        context: Context,
        tokenizer: OptTokenizer,
        record: RequestRecord,
    ):
        self.wanted = wanted
        self._shape = shape
        self._generation = generation
        self._record = record
        self._metrics = context.metrics
        self._head = Head(
            f"{shape.id_prefix}{uuid.uuid4().hex}", int(time.time()), wanted.model, context.fingerprint
        )
        self._begun: set[int] = set()
        """Choices of which a stream has said something."""
        self._prompt_tokens = sum(len(prompt.token_ids) for prompt in prompts)
        self._completion_tokens = 0
        self._last_step_at: float | None = None
        stop = StopStrings(wanted.stop) if wanted.stop else None
        self._choices = [
            Choice(prompt, tokenizer, stop=stop, echo=wanted.echo, keeps_entries=wanted.logprobs is not None)
            for prompt in prompts
            for _ in range(wanted.best_of)
        ]
        self._num_open = len(self._choices)
        self._count_tokens(0)

    @property
    def finished(self) -> bool:
        """Every choice has come to its end."""
        return self._num_open == 0

    async def advance(self) -> list[int]:
        """Take in what the engine says next; returns the indices of the choices that it changed.

        Raises:
            EngineFailed, AnswerTimedOut
        """
        changed: dict[int, None] = {}
        num_tokens = 0
        for prompt_index, event in await self._generation.next_events():
            first = prompt_index * self.wanted.best_of
            if isinstance(event, Token):
                index = first + event.sample
                if self._choices[index].finish_reason is None:
                    self._push(index, event)
                    changed[index] = None
                    num_tokens += 1
            elif isinstance(event, Prompt):
                self._record.queue_seconds = max(event.queue_seconds, self._record.queue_seconds or 0.0)
                for index in range(first, first + self.wanted.best_of):
                    self._begin(self._choices[index], event)
                    changed[index] = None
            elif self._generation.timed_out:
                raise AnswerTimedOut(event.message)
            else:
                raise EngineFailed(event.message)
        if num_tokens:
            self._count_tokens(num_tokens)
            self._observe_step()
        return list(changed)

    def whole(self) -> msgspec.Struct:
        """The answer in one piece; of `best_of` samples the likeliest `n`, best first."""
        best_of, n = self.wanted.best_of, self.wanted.n
        choices: list[ShapedChoice] = []
        for first in range(0, len(self._choices), best_of):
            samples = self._choices[first : first + best_of]
            if best_of > n:
                samples = sorted(samples, key=lambda choice: -choice.mean_logprob)[:n]
            for choice in samples:
                choices.append(self._shape.choice(len(choices), choice.whole(), choice.finish_reason))
        return self._shape.whole(self._head, choices, self._usage())

    def frames(self, changed: list[int]) -> list[bytes]:
        """The events of a stream for the choices that have changed: their new text, and their ends."""
        frames = []
        for index in changed:
            choice = self._choices[index]
            said: list[ShapedChoice | None] = []
            if index not in self._begun:
                self._begun.add(index)
                said.append(self._shape.begin(index))
            if (piece := choice.take()) is not None:
                said.append(self._shape.piece(index, piece))
            if choice.finish_reason is not None:
                said.append(self._shape.end(index, choice.finish_reason))
            frames += [self._frame(shaped) for shaped in said if shaped is not None]
        return frames

    def last_frames(self) -> list[bytes]:
        """What follows the choices: the usage, if it is wanted, and the end of the stream."""
        if not self.wanted.include_usage:
            return [sse.DONE]
        return [sse.frame(self._shape.chunk(self._head, [], self._usage())), sse.DONE]

    def _begin(self, choice: Choice, prompt: Prompt) -> None:
        choice.push_prompt(prompt)
        if self.wanted.max_tokens == 0:
            choice.finish("length")
            self._end(choice)

    def _push(self, index: int, token: Token) -> None:
        choice = self._choices[index]
        choice.push(token)
        if choice.finish_reason is not None:
            if token.finish_reason is None:
                self._generation.cancel_sample(*divmod(index, self.wanted.best_of))
            self._end(choice)

    def _end(self, choice: Choice) -> None:
        self._num_open -= 1
        self._record.finish_reasons.append(choice.finish_reason)

    def _count_tokens(self, num_tokens: int) -> None:
        self._completion_tokens += num_tokens
        self._record.prompt_tokens = self._prompt_tokens
        self._record.completion_tokens = self._completion_tokens

    def _observe_step(self) -> None:
        now = time.perf_counter()
        if self._last_step_at is None:
            self._metrics.first_token.observe(now - self._record.started_at)
        else:
            self._metrics.between_tokens.observe(now - self._last_step_at)
        self._last_step_at = now

    def _usage(self) -> Usage:
        """The prompt once, whatever `n` is; every token that was generated, those of `best_of` too."""
        total = self._prompt_tokens + self._completion_tokens
        return Usage(self._prompt_tokens, self._completion_tokens, total)

    def _frame(self, choice: ShapedChoice) -> bytes:
        usage = None if self.wanted.include_usage else msgspec.UNSET
        return sse.frame(self._shape.chunk(self._head, [choice], usage))
