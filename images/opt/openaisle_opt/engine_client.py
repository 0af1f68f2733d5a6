"""The HTTP process' end of the line to the engine.

One task reads the engine's frames and hands each event to the request that it belongs to; a request
wakes once for each step, whatever the number of its samples.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from .errors import EngineError, InvalidRequest, QueueFull
from .protocol import (
    Cancel,
    Failure,
    FromEngine,
    Progress,
    Prompt,
    Ready,
    Sampling,
    Stats,
    Step,
    Submit,
    Token,
)

Event = Prompt | Token | Failure

ENGINE_LOST = "The engine stopped while it worked on this request; send it again."
_MAX_FRAME_BYTES = 1 << 30
_CONNECT_INTERVAL_S = 0.02


class Generation:
    """The prompts of one HTTP request, on their way through the engine."""

    def __init__(self, client: EngineClient, request_ids: list[str], num_samples: int, max_tokens: int):
        self._client = client
        self._request_ids = request_ids
        self._ends_with_prompt = max_tokens == 0
        self._num_samples = num_samples
        self._open = {(request_id, sample) for request_id in request_ids for sample in range(num_samples)}
        self._prompt_index = {request_id: index for index, request_id in enumerate(request_ids)}
        self._events: list[tuple[int, Event]] = []
        self._waiter: asyncio.Future[None] | None = None
        self.timed_out = False

    async def next_events(self) -> list[tuple[int, Event]]:
        """What has come since the last call, each with the index of its prompt; waits for something."""
        if not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        events, self._events = self._events, []
        return events

    def cancel_sample(self, prompt_index: int, sample: int) -> None:
        """This sample is wanted no longer, the others are."""
        request_id = self._request_ids[prompt_index]
        if (request_id, sample) in self._open:
            self._end(request_id, sample)
            self._client.send(Cancel(request_id, sample))

    def close(self) -> None:
        """Nothing more is wanted: the engine drops what still runs. May be called again."""
        self._cancel_open()
        for request_id, sample in list(self._open):
            self._end(request_id, sample)
        self._client.forget(self._request_ids)

    def fail(self, message: str) -> None:
        """Every prompt ends with a failure."""
        for request_id in self._request_ids:
            self.add(Failure(request_id, message))
        self.wake()

    def expire(self, after_s: float) -> None:
        """Every prompt ends with a failure since its time is over; the engine drops what still runs."""
        self.timed_out = True
        self._cancel_open()
        self.fail(f"The answer took longer than the {after_s:g} seconds that this server allows.")

    def add(self, event: Event) -> None:
        """One event from the engine; `wake` follows when the step is handed out."""
        request_id = event.request_id
        self._events.append((self._prompt_index[request_id], event))
        if isinstance(event, Token):
            if event.finish_reason is not None:
                self._end(request_id, event.sample)
        elif isinstance(event, Failure) or self._ends_with_prompt:
            for sample in range(self._num_samples):
                self._end(request_id, sample)

    def wake(self) -> None:
        """Let `next_events` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _cancel_open(self) -> None:
        for request_id in self._request_ids:
            if any((request_id, sample) in self._open for sample in range(self._num_samples)):
                self._client.send(Cancel(request_id))

    def _end(self, request_id: str, sample: int) -> None:
        if (request_id, sample) in self._open:
            self._open.remove((request_id, sample))
            self._client.num_outstanding -= 1


class EngineClient:
    """Submits work to one engine and hands out what comes back."""

    def __init__(self, *, max_waiting: int = 512):
        """`max_waiting`: sequences that may wait beyond those that the engine runs at once."""
        self.ready: Ready | None = None
        self.stats: Stats | None = None
        self.last_words: str | None = None
        """Why the engine ended, if it said so."""
        self.num_outstanding = 0
        """Samples submitted and not ended."""
        self.last_heard = 0.0
        """When the engine last said something, or last had nothing to do, on the loop's clock."""
        self._max_waiting = max_waiting
        self._generations: dict[str, Generation] = {}
        self._numbers = itertools.count()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(FromEngine).decode
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self, socket_path: str, why_ended: Callable[[], str | None] = lambda: None) -> None:
        """Connect as soon as the engine listens.

        Raises:
            EngineError: `why_ended` says that the engine has ended.
        """
        while True:
            try:
                self._reader, self._writer = await asyncio.open_unix_connection(socket_path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if reason := why_ended():
                    raise EngineError(reason) from None
                await asyncio.sleep(_CONNECT_INTERVAL_S)
        self.last_heard = asyncio.get_running_loop().time()

    async def run(self, on_progress: Callable[[Progress], None], on_ready: Callable[[Ready], None]) -> None:
        """Hand out the engine's messages until it ends.

        Raises:
            EngineError: the engine has ended; every running request has got a failure.
        """
        try:
            while True:
                frame = await self._next_frame()
                self.last_heard = asyncio.get_running_loop().time()
                if isinstance(frame, Step):
                    self._hand_out(frame)
                elif isinstance(frame, Progress):
                    on_progress(frame)
                elif isinstance(frame, Ready):
                    self.ready = frame
                    on_ready(frame)
                else:
                    self.last_words = frame.message
                    raise ConnectionResetError
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError) as error:
            if isinstance(error, msgspec.MsgspecError):
                self.last_words = f"The engine sent a message that is not understood: {error}."
            raise EngineError(self.last_words or "The engine has ended.") from error
        finally:
            self.ready = None
            self.fail_all(ENGINE_LOST)

    def check_room(self, num_sequences: int) -> None:
        """See that the engine would take as many now.

        Raises:
            QueueFull: too many sequences wait already.
            InvalidRequest: these alone are more than may wait.
        """
        assert self.ready is not None
        capacity = self.ready.max_num_seqs + self._max_waiting
        if num_sequences > capacity:
            raise InvalidRequest(
                f"You requested {num_sequences} completions at once (prompts times the larger of 'n' "
                f"and 'best_of'); this server takes at most {capacity}. Please send fewer prompts at a time.",
                param="prompt",
            )
        if self.num_outstanding + num_sequences > capacity:
            raise QueueFull(
                f"The queue is full: {self.num_outstanding} completions are running or waiting. Please try "
                "again later.",
                retry_after_s=1 + self.num_outstanding // (8 * self.ready.max_num_seqs),
            )

    def submit(self, prompts: list[list[int]], sampling: Sampling, num_samples: int) -> Generation:
        """Send the prompts of one request, all or none of them.

        Raises:
            QueueFull, InvalidRequest: as `check_room` does.
        """
        wanted = len(prompts) * num_samples
        self.check_room(wanted)
        if not self.num_outstanding:
            self.last_heard = asyncio.get_running_loop().time()
        request_ids = [str(next(self._numbers)) for _ in prompts]
        generation = Generation(self, request_ids, num_samples, sampling.max_tokens)
        self.num_outstanding += wanted
        for request_id, token_ids in zip(request_ids, prompts, strict=True):
            self._generations[request_id] = generation
            self.send(Submit(request_id, token_ids, sampling, num_samples))
        return generation

    def send(self, message: Submit | Cancel) -> None:
        """Write one message; the kernel and the transport buffer what the engine has not read."""
        if self._writer is not None and not self._writer.is_closing():
            payload = self._encode(message)
            self._writer.write(len(payload).to_bytes(4, "big") + payload)

    def forget(self, request_ids: list[str]) -> None:
        """Events of these requests are dropped from now on."""
        for request_id in request_ids:
            self._generations.pop(request_id, None)

    def fail_all(self, message: str) -> None:
        """End every running request with a failure."""
        for generation in set(self._generations.values()):
            generation.fail(message)

    def close(self) -> None:
        """Close the line, which tells the engine to leave."""
        if self._writer is not None:
            self._writer.close()

    async def _next_frame(self) -> Any:
        assert self._reader is not None
        size = int.from_bytes(await self._reader.readexactly(4), "big")
        if size > _MAX_FRAME_BYTES:
            raise msgspec.DecodeError(f"a frame of {size} bytes")
        return self._decode(await self._reader.readexactly(size))

    def _hand_out(self, step: Step) -> None:
        self.stats = step.stats
        touched = set()
        for events in (step.prompts, step.tokens, step.failures):
            for event in events:
                generation = self._generations.get(event.request_id)
                # Events of a request that was just cancelled may still be under way.
                if generation is not None:
                    generation.add(event)
                    touched.add(generation)
        for generation in touched:
            generation.wake()
