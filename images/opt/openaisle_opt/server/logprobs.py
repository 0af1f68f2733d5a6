"""Log-probabilities as the two APIs write them: four parallel arrays for completions, a list of tokens
for chats.

An entry is one token's place in them. Offsets count code points from the start of the prompt, whether the
prompt is echoed or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..protocol import TokenLogprobs
from ..tokenizer import OptTokenizer
from .chat_schema import ChatToken, TopToken
from .schema import Logprobs

_LOWEST = -9999.0
"""In place of minus infinity, which JSON cannot say."""


class Entry(NamedTuple):
    token_id: int
    logprobs: TokenLogprobs | None
    """None for the first token of a prompt, which has none."""
    offset: int


def to_arrays(entries: Iterable[Entry], num_top: int, tokenizer: OptTokenizer, end: int) -> Logprobs:
    """The arrays of some entries. No offset goes beyond `end`, where a stop string has cut the text.

    The chosen token is always among the top ones, with the very same float in both places: clients
    compare the two to see whether it was the likeliest.
    """
    arrays = Logprobs([], [], [] if num_top else None, [])
    for token_id, logprobs, offset in entries:
        text = tokenizer.token_text(token_id)
        logprob, top = None, None
        if logprobs is not None:
            logprob = max(logprobs.logprob, _LOWEST)
            top = {
                tokenizer.token_text(top_id): max(value, _LOWEST)
                for top_id, value in zip(logprobs.top_token_ids, logprobs.top_logprobs, strict=True)
            }
            top[text] = logprob
        arrays.tokens.append(text)
        arrays.token_logprobs.append(logprob)
        if arrays.top_logprobs is not None:
            arrays.top_logprobs.append(top)
        arrays.text_offset.append(min(offset, end))
    return arrays


def to_chat_tokens(entries: Iterable[Entry], tokenizer: OptTokenizer, end: int) -> list[ChatToken]:
    """The tokens whose text is in the message, which `end` ends: the end-of-sequence token is not among
    them, nor is a stop string."""
    tokens = []
    for token_id, logprobs, offset in entries:
        if logprobs is None or offset >= end:
            continue
        top = zip(logprobs.top_token_ids, logprobs.top_logprobs, strict=True)
        tokens.append(
            ChatToken(
                *_token_and_bytes(token_id, tokenizer),
                max(logprobs.logprob, _LOWEST),
                [
                    TopToken(*_token_and_bytes(top_id, tokenizer), max(value, _LOWEST))
                    for top_id, value in top
                ],
            )
        )
    return tokens


def _token_and_bytes(token_id: int, tokenizer: OptTokenizer) -> tuple[str, list[int]]:
    return tokenizer.token_text(token_id), list(tokenizer.piece(token_id))
