"""Log-probabilities as the completions API writes them: four parallel arrays.

An entry is one token's place in those arrays. Offsets count code points from the start of the prompt,
whether the prompt is echoed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..protocol import TokenLogprobs
from .schema import Logprobs

_LOWEST = -9999.0
"""In place of minus infinity, which JSON cannot say."""


class Entry(NamedTuple):
    token: str
    logprob: float | None
    top: dict[str, float] | None
    offset: int


def make_entry(
    token_id: int,
    logprobs: TokenLogprobs | None,
    offset: int,
    num_top: int,
    token_text: Callable[[int], str],
) -> Entry:
    """The entry of one token. `logprobs` is None for the first token of a prompt, which has none.

    The chosen token is always among the top ones, with the very same float in both places: clients
    compare the two to see whether it was the likeliest.
    """
    text = token_text(token_id)
    if logprobs is None:
        return Entry(text, None, None, offset)
    logprob = max(logprobs.logprob, _LOWEST)
    if not num_top:
        return Entry(text, logprob, None, offset)
    top = {
        token_text(top_id): max(value, _LOWEST)
        for top_id, value in zip(logprobs.top_token_ids, logprobs.top_logprobs, strict=True)
    }
    top[text] = logprob
    return Entry(text, logprob, top, offset)


def to_arrays(entries: Iterable[Entry], num_top: int, *, end: int | None = None) -> Logprobs:
    """The arrays of some entries. No offset goes beyond `end`, where a stop string has cut the text."""
    arrays = Logprobs([], [], [] if num_top else None, [])
    for entry in entries:
        arrays.tokens.append(entry.token)
        arrays.token_logprobs.append(entry.logprob)
        if arrays.top_logprobs is not None:
            arrays.top_logprobs.append(entry.top)
        arrays.text_offset.append(entry.offset if end is None else min(entry.offset, end))
    return arrays
