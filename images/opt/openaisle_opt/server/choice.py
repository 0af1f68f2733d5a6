"""One sample of a prompt on its way from tokens to a choice of the answer."""

from __future__ import annotations

from ..detokenizer import Detokenizer, StopStrings
from ..protocol import Prompt, Token
from ..tokenizer import OptTokenizer
from .logprobs import Entry
from .prompts import EncodedPrompt
from .shapes import Piece


class Choice:
    """Gathers the tokens of one sample and gives out its text, whole or piece by piece."""

    def __init__(
        self,
        prompt: EncodedPrompt,
        tokenizer: OptTokenizer,
        *,
        stop: StopStrings | None,
        echo: bool,
        keeps_entries: bool,
    ):
        """`keeps_entries`: whether log-probabilities are wanted."""
        self.finish_reason: str | None = None
        self.num_tokens = 0
        self.mean_logprob = 0.0
        """Of the tokens generated so far; the rank among the samples of `best_of`."""
        self._prompt = prompt
        self._tokenizer = tokenizer
        self._detokenizer = Detokenizer(stop)
        self._echo = echo
        self._keeps_entries = keeps_entries
        self._base = len(prompt.text)
        self._text = ""
        self._entries: list[Entry] = []

    def push_prompt(self, event: Prompt) -> None:
        """The prompt was computed: it is echoed if that is wanted."""
        if not self._echo:
            return
        self._text = self._prompt.text
        if self._keeps_entries:
            triples = zip(
                self._prompt.token_ids, event.logprobs or (), self._prompt.offsets or (), strict=True
            )
            self._entries = list(map(Entry._make, triples))

    def push(self, token: Token) -> None:
        """One more token; ignored once the choice has finished."""
        if self.finish_reason is not None:
            return
        self.num_tokens += 1
        self.mean_logprob = token.cumulative_logprob / self.num_tokens
        # The end-of-sequence token is counted and has an entry, but no text.
        is_end = token.finish_reason == "stop"
        piece = b"" if is_end else self._tokenizer.piece(token.token_id)
        if self._keeps_entries:
            offset = self._detokenizer.end if is_end else self._detokenizer.offset_of(piece)
            self._entries.append(Entry(token.token_id, token.logprobs, self._base + offset))
        self._text += self._detokenizer.push(piece)
        if self._detokenizer.stopped:
            self.finish("stop")
        elif token.finish_reason is not None:
            self.finish(token.finish_reason)

    def finish(self, reason: str) -> None:
        """Nothing more will come; what was held back is given out."""
        self._text += self._detokenizer.finish()
        self.finish_reason = "stop" if self._detokenizer.stopped else reason

    def take(self) -> Piece | None:
        """The text and the entries that are certain and were not taken before; None if there are none.

        An entry is given out with the piece in which its token's text begins."""
        end = self._base + self._detokenizer.num_released
        count = len(self._entries)
        if self.finish_reason is None:
            if not self._text:
                return None
            while count and self._entries[count - 1].offset >= end:
                count -= 1
        piece = Piece(self._text, self._entries[:count], end)
        self._text, self._entries = "", self._entries[count:]
        return piece if piece.text or piece.entries else None

    def whole(self) -> Piece:
        """All of it, for an answer that is not streamed."""
        return self.take() or Piece("", [], 0)
