"""The answer to one request while the tokens of its choices come in."""

from __future__ import annotations

import time
import uuid

import msgspec

from ..detokenizer import StopStrings
from ..engine_client import Generation
from ..errors import EngineFailed
from ..protocol import Prompt, Token
from ..tokenizer import OptTokenizer
from . import sse
from .access_log import RequestRecord
from .choice import Choice
from .context import Context
from .prompts import EncodedPrompt
from .schema import Completion, CompletionChoice, CompletionRequest, Usage


class Answer:
    """Choices in the order of their indices: sample j of prompt i is choice i * best_of + j."""

    def __init__(
        self,
        wanted: CompletionRequest,
        prompts: list[EncodedPrompt],
        generation: Generation,
        context: Context,
        tokenizer: OptTokenizer,
        record: RequestRecord,
    ):
        self.wanted = wanted
        self._generation = generation
        self._record = record
        self._metrics = context.metrics
        self._fingerprint = context.fingerprint
        self._id = f"cmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._prompt_tokens = sum(len(prompt.token_ids) for prompt in prompts)
        self._completion_tokens = 0
        self._last_step_at: float | None = None
        stop = StopStrings(wanted.stop) if wanted.stop else None
        self._choices = [
            Choice(prompt, tokenizer, stop=stop, echo=wanted.echo, num_top=wanted.logprobs)
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
            EngineFailed
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
            else:
                raise EngineFailed(event.message)
        if num_tokens:
            self._count_tokens(num_tokens)
            self._observe_step()
        return list(changed)

    def whole(self) -> Completion:
        """The answer in one piece; of `best_of` samples the likeliest `n`, best first."""
        best_of, n = self.wanted.best_of, self.wanted.n
        choices: list[CompletionChoice] = []
        for first in range(0, len(self._choices), best_of):
            samples = self._choices[first : first + best_of]
            if best_of > n:
                samples = sorted(samples, key=lambda choice: -choice.mean_logprob)[:n]
            choices += [choice.whole(len(choices) + place) for place, choice in enumerate(samples)]
        return self._completion(choices, self._usage())

    def frames(self, changed: list[int]) -> list[bytes]:
        """The events of a stream for the choices that have changed: their new text, and their ends."""
        frames = []
        for index in changed:
            choice = self._choices[index]
            if (taken := choice.take()) is not None:
                frames.append(self._frame(CompletionChoice(taken[0], index, taken[1], None)))
            if choice.finish_reason is not None:
                end = CompletionChoice("", index, choice.no_logprobs(), choice.finish_reason)
                frames.append(self._frame(end))
        return frames

    def last_frames(self) -> list[bytes]:
        """What follows the choices: the usage, if it is wanted, and the end of the stream."""
        if not self.wanted.include_usage:
            return [sse.DONE]
        return [sse.frame(self._completion([], self._usage())), sse.DONE]

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

    def _frame(self, choice: CompletionChoice) -> bytes:
        return sse.frame(self._completion([choice], None if self.wanted.include_usage else msgspec.UNSET))

    def _completion(
        self, choices: list[CompletionChoice], usage: Usage | msgspec.UnsetType | None
    ) -> Completion:
        return Completion(
            id=self._id,
            object="text_completion",
            created=self._created,
            model=self.wanted.model,
            system_fingerprint=self._fingerprint,
            choices=choices,
            usage=usage,
        )
