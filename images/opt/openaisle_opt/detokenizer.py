"""Tokens of one sample to text, piece by piece: no half characters, and no part of a stop string.

The cost of a token does not grow with the answer.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Sequence


class StopStrings:
    """An automaton that finds the first of several strings to be completed in a text.

    Its states are the prefixes of the strings; state 0 is the empty one. Built once for a request and
    shared by its samples (after Aho and Corasick, 1975).
    """

    def __init__(self, strings: Sequence[str]):
        """`strings` are not empty."""
        self.next: list[dict[str, int]] = [{}]
        self.depth = [0]
        """Characters of the prefix: what has to be held back in this state."""
        self.match_length = [0]
        """Length of the longest string that ends in this state; 0 if none does."""
        self._fallback = [0]
        for string in strings:
            self._insert(string)
        self._link()

    def _insert(self, string: str) -> None:
        state = 0
        for character in string:
            if character not in self.next[state]:
                self.next[state][character] = len(self.next)
                self.next.append({})
                self.depth.append(self.depth[state] + 1)
                self.match_length.append(0)
                self._fallback.append(0)
            state = self.next[state][character]
        self.match_length[state] = len(string)

    def _link(self) -> None:
        """Point each state to the longest other prefix that its own ends with, the shallow ones first."""
        queue = deque(self.next[0].values())
        while queue:
            state = queue.popleft()
            for character, child in self.next[state].items():
                self._fallback[child] = self.step(self._fallback[state], character)
                queue.append(child)
            if not self.match_length[state]:
                self.match_length[state] = self.match_length[self._fallback[state]]

    def step(self, state: int, character: str) -> int:
        """The state after one more character."""
        while True:
            following = self.next[state].get(character)
            if following is not None:
                return following
            if state == 0:
                return 0
            state = self._fallback[state]


_Decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    """The text of one sample."""

    def __init__(self, stop: StopStrings | None = None):
        self._decoder = _Decoder("replace")
        self._decode = self._decoder.decode
        self._stop = stop
        self._state = 0
        self._held = ""
        self.num_decoded = 0
        """Characters decoded so far, those held back among them."""
        self.num_released = 0
        """Characters that `push` and `finish` have given out."""
        self.stopped = False
        """A stop string was completed: nothing more will be given out."""

    def offset_of(self, piece: bytes) -> int:
        """Where the text of the next token will begin, in characters.

        That is where the unfinished character is, if the token goes on with it, and else behind the
        replacement that it becomes.
        """
        unfinished, _ = self._decoder.getstate()
        if not (unfinished and piece):
            return self.num_decoded
        decoder = _Decoder("replace")
        num_decoded = len(decoder.decode(unfinished + piece[:1]))
        begins_another, _ = decoder.getstate()
        return self.num_decoded + num_decoded - (1 if num_decoded and not begins_another else 0)

    @property
    def end(self) -> int:
        """Where the text would end if nothing more came."""
        return self.num_decoded + (1 if self._decoder.getstate()[0] else 0)

    def push(self, piece: bytes) -> str:
        """Add the bytes of one token; returns the text that is now certain."""
        return self._release(self._decode(piece))

    def finish(self) -> str:
        """The text that was held back; an unfinished character becomes U+FFFD."""
        text = self._release(self._decode(b"", True))
        if self.stopped:
            return text
        held, self._held = self._held, ""
        self.num_released += len(held)
        return text + held

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        self.num_decoded += len(text)
        if self._stop is not None and text:
            text = self._hold_back(self._stop, text)
        self.num_released += len(text)
        return text

    def _hold_back(self, stop: StopStrings, text: str) -> str:
        step, match_length, state = stop.step, stop.match_length, self._state
        for place, character in enumerate(text):
            state = step(state, character)
            if match_length[state]:
                self.stopped = True
                text = self._held + text[: place + 1]
                self._held = ""
                return text[: -match_length[state]]
        self._state = state
        text = self._held + text
        certain = len(text) - stop.depth[state]
        self._held = text[certain:]
        return text[:certain]
