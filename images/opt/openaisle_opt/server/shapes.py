"""How an answer looks on the wire: a completion, or the next message of a chat."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from ..tokenizer import OptTokenizer
from .chat_schema import ChatChoice, ChatChunkChoice, ChatCompletion, ChatLogprobs, Delta, Message
from .logprobs import Entry, to_arrays, to_chat_tokens
from .schema import Completion, CompletionChoice, Logprobs, Usage


class Piece(NamedTuple):
    """Some text of a choice, and the entries of the tokens that begin in it."""

    text: str
    entries: list[Entry]
    end: int
    """Where the text ends, on the scale of the entries' offsets."""


class Head(NamedTuple):
    """What is the same in all chunks of an answer."""

    id: str
    created: int
    model: str
    system_fingerprint: str


UsageOrNot = Usage | msgspec.UnsetType | None
ShapedChoice = CompletionChoice | ChatChoice | ChatChunkChoice


class Shape(Protocol):
    """One of the two ways to write an answer."""

    id_prefix: str

    def begin(self, index: int) -> ShapedChoice | None:
        """What a stream says of a choice before its text."""

    def piece(self, index: int, piece: Piece) -> ShapedChoice | None:
        """More of a choice, in a stream; None if there is nothing to say."""

    def end(self, index: int, finish_reason: str) -> ShapedChoice:
        """The end of a choice, in a stream."""

    def choice(self, index: int, piece: Piece, finish_reason: str | None) -> ShapedChoice:
        """A choice in an answer of one piece."""

    def chunk(self, head: Head, choices: list[Any], usage: UsageOrNot) -> msgspec.Struct:
        """One event of a stream."""

    def whole(self, head: Head, choices: list[Any], usage: Usage) -> msgspec.Struct:
        """An answer of one piece."""


class CompletionShape:
    """As /v1/completions has it; chunks look like whole answers."""

    id_prefix = "cmpl-"

    def __init__(self, tokenizer: OptTokenizer, num_top: int | None):
        """`num_top`: likeliest tokens in each logprobs entry; None leaves logprobs out."""
        self._tokenizer = tokenizer
        self._num_top = num_top

    def begin(self, index: int) -> None:
        return None

    def piece(self, index: int, piece: Piece) -> CompletionChoice:
        return self.choice(index, piece, None)

    def end(self, index: int, finish_reason: str) -> CompletionChoice:
        return self.choice(index, Piece("", [], 0), finish_reason)

    def choice(self, index: int, piece: Piece, finish_reason: str | None) -> CompletionChoice:
        return CompletionChoice(piece.text, index, self._logprobs(piece), finish_reason)

    def _logprobs(self, piece: Piece) -> Logprobs | None:
        if self._num_top is None:
            return None
        return to_arrays(piece.entries, self._num_top, self._tokenizer, piece.end)

    def whole(self, head: Head, choices: list[Any], usage: UsageOrNot) -> Completion:
        return Completion(head.id, "text_completion", *head[1:], choices, usage)

    chunk = whole


class ChatShape:
    """As /v1/chat/completions has it."""

    id_prefix = "chatcmpl-"

    def __init__(self, tokenizer: OptTokenizer, num_top: int | None):
        """As for `CompletionShape`."""
        self._tokenizer = tokenizer
        self._num_top = num_top

    def begin(self, index: int) -> ChatChunkChoice:
        return ChatChunkChoice(index, Delta("assistant", ""), None, None)

    def piece(self, index: int, piece: Piece) -> ChatChunkChoice | None:
        logprobs = self._logprobs(piece)
        if not piece.text and not (logprobs and logprobs.content):
            return None
        return ChatChunkChoice(index, Delta(content=piece.text), logprobs, None)

    def end(self, index: int, finish_reason: str) -> ChatChunkChoice:
        return ChatChunkChoice(index, Delta(), None, finish_reason)

    def choice(self, index: int, piece: Piece, finish_reason: str | None) -> ChatChoice:
        return ChatChoice(index, Message("assistant", piece.text), self._logprobs(piece), finish_reason)

    def _logprobs(self, piece: Piece) -> ChatLogprobs | None:
        if self._num_top is None:
            return None
        return ChatLogprobs(to_chat_tokens(piece.entries, self._tokenizer, piece.end))

    def chunk(self, head: Head, choices: list[Any], usage: UsageOrNot) -> ChatCompletion:
        return ChatCompletion(head.id, "chat.completion.chunk", *head[1:], choices, usage)

    def whole(self, head: Head, choices: list[Any], usage: Usage) -> ChatCompletion:
        return ChatCompletion(head.id, "chat.completion", *head[1:], choices, usage)
