"""How many tokens an answer has cost, read from its bytes as they pass by (pure)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

TAIL_BYTES = 4096
"""The usage stands at the end of an answer, however long that is."""
# In JSON a quote within a text has a backslash before it, so this matches no text.
USAGE = re.compile(rb'[,{]\s*"usage"\s*:\s*(?=\{)')


@dataclass(frozen=True)
class Usage:
    """Tokens of a request: what it brought, and what it made."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.prompt_tokens + self.completion_tokens


NO_TOKENS = Usage(0, 0)


class Meter:
    """Watches an answer and never changes it."""

    def __init__(self) -> None:
        self._tail = b""
        self._num_events = 0

    def watch(self, data: bytes) -> None:
        """See a piece of a plain answer, or whole events of a stream."""
        # The event that says why a text ends often brings none of it.
        self._num_events += (b"\n" + data).count(b"\ndata: {") - data.count(b'"text":""')
        self._tail = (self._tail + data)[-TAIL_BYTES:]

    def usage(self, prompt_tokens: int) -> Usage | None:
        """What the answer says of itself; None if it says nothing.

        A stream without its usage has one event for each token at most, and the prompt's tokens
        are as many as they were taken for.
        """
        said = self._said()
        if said is not None:
            return said
        return Usage(prompt_tokens, self._num_events) if self._num_events else None

    def _said(self) -> Usage | None:
        places = list(USAGE.finditer(self._tail))
        if not places:
            return None
        try:
            text = self._tail[places[-1].end() :].decode("utf-8", "replace")
            fields, _ = json.JSONDecoder().raw_decode(text)
            return Usage(int(fields["prompt_tokens"]), int(fields.get("completion_tokens") or 0))
        except (ValueError, KeyError, TypeError):
            return None
