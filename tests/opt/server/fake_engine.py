"""An engine without a model: it speaks the protocol over a real socket and says what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from openaisle_opt.protocol import (
    Cancel,
    Failure,
    Fatal,
    FromEngine,
    Progress,
    Prompt,
    Ready,
    Stats,
    Step,
    Submit,
    ToEngine,
    Token,
    TokenLogprobs,
)
from openaisle_opt.settings import EngineSettings

EOS = 2
STATS = Stats(
    num_running=3,
    num_waiting=4,
    num_free_blocks=60,
    num_blocks=80,
    num_preemptions=5,
    prompt_tokens=100,
    generated_tokens=200,
    cached_prompt_tokens=50,
)
READY = Ready(
    vocab_size=300,
    max_model_len=64,
    eos_token_ids=[EOS],
    bos_token_id=2,
    dtype="float32",
    device="cpu",
    num_blocks=80,
    block_size=16,
    max_num_seqs=4,
)


class FakeEngine:
    """Answers each prompt with the tokens that `says` gives for a sample, until they or max_tokens end.

    A sample whose tokens end early ends with the end-of-sequence token. While `hold` is set, prompts wait
    for `release`.
    """

    def __init__(self, ready: Ready = READY) -> None:
        self.ready = ready
        self.says: Callable[[int], list[int]] = lambda sample: [4 + sample]
        self.logprob: Callable[[int], float] = lambda token_id: -token_id / 100
        self.top_token_ids = [10, 11, 12, 13, 14]
        self.failure: str | None = None
        """Sent in place of an answer."""
        self.fails_after: int | None = None
        """Tokens of a sample after which `failure` comes; None is at once."""
        self.hold = False
        self.ends = True
        """Whether samples come to an end by themselves; if not, nothing follows their last token."""
        self.one_step_each = True
        """Whether every token comes in a frame of its own."""
        self.submitted: asyncio.Queue[Submit] = asyncio.Queue()
        self.cancelled: asyncio.Queue[Cancel] = asyncio.Queue()
        self._held: list[Submit] = []
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(ToEngine).decode

    async def start(self, socket_path: str, before_ready: list[FromEngine] | None = None) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writer = writer
            for message in before_ready or []:
                self.send(message)
            if not (before_ready and isinstance(before_ready[-1], Fatal)):
                self.send(self.ready)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    size = int.from_bytes(await reader.readexactly(4), "big")
                    self._receive(self._decode(await reader.readexactly(size)))
            self.closed.set()

        self.closed = asyncio.Event()
        self._server = await asyncio.start_unix_server(connected, socket_path)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection without a word, as a process that dies does."""
        if self._writer is not None:
            self._writer.close()

    def send(self, message: FromEngine) -> None:
        assert self._writer is not None
        payload = self._encode(message)
        self._writer.write(len(payload).to_bytes(4, "big") + payload)

    def release(self) -> None:
        """Answer the prompts that were held."""
        self.hold = False
        held, self._held = self._held, []
        for submit in held:
            self._answer(submit)

    def _receive(self, message: ToEngine) -> None:
        if isinstance(message, Cancel):
            self.cancelled.put_nowait(message)
            return
        self.submitted.put_nowait(message)
        if self.hold:
            self._held.append(message)
        else:
            self._answer(message)

    def _answer(self, submit: Submit) -> None:
        if self.failure is not None and self.fails_after is None:
            self._step(failures=[Failure(submit.request_id, self.failure)])
            return
        self._step(prompts=[self._prompt(submit)])
        samples = [self._tokens(submit, sample) for sample in range(submit.num_samples)]
        tokens = [
            tokens[place]
            for place in range(max(map(len, samples), default=0))
            for tokens in samples
            if place < len(tokens)
        ]
        if self.failure is not None:
            for token in tokens[: self.fails_after]:
                self._step(tokens=[token])
            self._step(failures=[Failure(submit.request_id, self.failure)])
        elif self.one_step_each:
            for token in tokens:
                self._step(tokens=[token])
        elif tokens:
            self._step(tokens=tokens)

    def _prompt(self, submit: Submit) -> Prompt:
        wanted = submit.sampling.prompt_logprobs
        logprobs = None
        if wanted is not None:
            logprobs = [None, *(self._logprobs(token_id, wanted) for token_id in submit.prompt_token_ids[1:])]
        return Prompt(submit.request_id, 0, 0.001, logprobs)

    def _tokens(self, submit: Submit, sample: int) -> list[Token]:
        sampling = submit.sampling
        token_ids = self.says(sample)
        ends = len(token_ids) < sampling.max_tokens
        ends = ends and self.ends
        token_ids = [*token_ids, EOS] if ends else token_ids[: sampling.max_tokens]
        tokens, total = [], 0.0
        for place, token_id in enumerate(token_ids, 1):
            total += self.logprob(token_id)
            is_last = self.ends and place == len(token_ids)
            reason = ("stop" if ends else "length") if is_last else None
            logprobs = None if sampling.logprobs is None else self._logprobs(token_id, sampling.logprobs)
            tokens.append(Token(submit.request_id, sample, token_id, total, logprobs, reason))
        return tokens

    def _logprobs(self, token_id: int, wanted: int) -> TokenLogprobs:
        ids = self.top_token_ids[:wanted]
        return TokenLogprobs(self.logprob(token_id), ids, [self.logprob(i) for i in ids])

    def _step(
        self,
        *,
        prompts: list[Prompt] | None = None,
        tokens: list[Token] | None = None,
        failures: list[Failure] | None = None,
    ) -> None:
        self.send(Step(prompts or [], tokens or [], failures or [], STATS))


def main(settings: EngineSettings, socket_path: str) -> None:
    """A process for tests of the whole program.

    FAKE_ENGINE says what it does: "fatal" and "exit" end it while it loads; with "hold", answers come once
    the file FAKE_ENGINE_RELEASE exists, and "die" ends it with the first prompt.
    """
    asyncio.run(_run(socket_path, os.environ.get("FAKE_ENGINE", "")))


async def _run(socket_path: str, behaviour: str) -> None:
    if behaviour == "exit":
        os._exit(3)
    engine = FakeEngine()
    before: list[FromEngine] = [Progress("loading the weights", 0.5)]
    if behaviour == "fatal":
        before.append(Fatal("The weights are too large for this machine; choose a smaller model."))
    engine.hold = behaviour in ("hold", "die")
    await engine.start(socket_path, before)
    if behaviour == "die":
        await engine.submitted.get()
        os._exit(0)
    if behaviour == "hold":
        await engine.submitted.get()
        print("holding a prompt", file=sys.stderr, flush=True)
        release = Path(os.environ["FAKE_ENGINE_RELEASE"])
        # Another process makes the file, so there is nothing else to wait on.
        while not release.exists() and not engine.closed.is_set():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)
        engine.release()
    await engine.closed.wait()
