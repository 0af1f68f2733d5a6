"""Messages between the HTTP process and the engine process of one model.

Both ends exchange length-prefixed msgpack frames over a Unix domain socket: four bytes with the
length of the payload (big-endian), then one message. The HTTP process sends `Submit` and `Cancel`;
the engine sends `Progress` while it loads, `Ready` once, then one `Step` for each step of its loop
that had something to say, and `Fatal` before it exits because of an error.

Texts stay on the HTTP side: the engine sees token ids only.
"""

from __future__ import annotations

import msgspec


class Sampling(msgspec.Struct, frozen=True, array_like=True):
    """How the tokens of one request are chosen. Ranges are checked by the HTTP side."""

    max_tokens: int
    """Tokens to generate for each sample; 0 only scores the prompt."""
    temperature: float = 1.0
    """0 means greedy: the largest logit after bias and penalties."""
    top_p: float = 1.0
    """Mass of the nucleus; 0 means greedy."""
    seed: int | None = None
    """With a seed, sample i of a request gives the same tokens again, whatever else runs."""
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    logprobs: int | None = None
    """How many of the likeliest tokens to report for each generated token; None reports nothing,
    0 the chosen token's log-probability alone. Log-probabilities are those of the model's own
    distribution at temperature 1, before penalties and bias."""
    prompt_logprobs: int | None = None
    """The same for the tokens of the prompt (`echo`); the first token has none."""
    ignore_eos: bool = False


class Submit(msgspec.Struct, frozen=True, array_like=True, tag="submit"):
    """One prompt and how many samples of it to draw. The samples share the prompt's cache."""

    request_id: str
    prompt_token_ids: list[int]
    sampling: Sampling
    num_samples: int = 1


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Drop one sample of a request, or all of them; unknown and ended ones are ignored."""

    request_id: str
    sample: int | None = None


class TokenLogprobs(msgspec.Struct, frozen=True, array_like=True):
    """Log-probability of one token and the likeliest tokens at its place, best first."""

    logprob: float
    top_token_ids: list[int] = []
    top_logprobs: list[float] = []


class Token(msgspec.Struct, frozen=True, array_like=True):
    """One generated token. After a `finish_reason` nothing more comes for its sample."""

    request_id: str
    sample: int
    token_id: int
    cumulative_logprob: float
    """Sum of the model's log-probabilities of the tokens of this sample so far; 0 for a request of one
    sample that asks for no `logprobs`."""
    logprobs: TokenLogprobs | None = None
    finish_reason: str | None = None
    """None, "stop" (the token is the end-of-sequence token) or "length"."""


class Prompt(msgspec.Struct, frozen=True, array_like=True):
    """A prompt has been computed. Comes once for each request, before its first token.

    With `max_tokens` 0 it is also the end of the request."""

    request_id: str
    num_cached_tokens: int
    """Tokens whose keys and values were taken from the prefix cache."""
    queue_seconds: float
    logprobs: list[TokenLogprobs | None] | None = None
    """One entry for each token of the prompt, the first None; None if not asked for."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A request failed inside the engine; nothing more comes for it."""

    request_id: str
    message: str


class Stats(msgspec.Struct, frozen=True, array_like=True):
    """State of the engine after a step, for metrics and health."""

    num_running: int
    num_waiting: int
    num_free_blocks: int
    num_blocks: int
    num_preemptions: int
    """Since the start."""
    prompt_tokens: int
    """Computed since the start."""
    generated_tokens: int
    """Since the start."""
    cached_prompt_tokens: int
    """Taken from the prefix cache since the start."""


class Step(msgspec.Struct, frozen=True, array_like=True, tag="step"):
    """What one step of the engine brought forth."""

    prompts: list[Prompt]
    tokens: list[Token]
    failures: list[Failure]
    stats: Stats


class Progress(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """What the engine is doing before it is ready, in words, and how far it is (0 to 1)."""

    phase: str
    fraction: float | None = None


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """The model is loaded and requests can be submitted."""

    vocab_size: int
    max_model_len: int
    """Prompt and completion together, in tokens."""
    eos_token_ids: list[int]
    bos_token_id: int
    dtype: str
    device: str
    num_blocks: int
    block_size: int
    """Tokens in a block of the KV cache."""
    max_num_seqs: int


class Fatal(msgspec.Struct, frozen=True, array_like=True, tag="fatal"):
    """The engine cannot go on; the sentence says why and what to do."""

    message: str


ToEngine = Submit | Cancel
FromEngine = Progress | Ready | Step | Fatal
