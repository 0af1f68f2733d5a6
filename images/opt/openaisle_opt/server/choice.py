"""One sample of a prompt on its way from tokens to a choice of the answer."""

from __future__ import annotations

from ..detokenizer import Detokenizer, StopStrings
from ..protocol import Prompt, Token
from ..tokenizer import OptTokenizer
from .logprobs import Entry, make_entry, to_arrays
from .prompts import EncodedPrompt
from .schema import CompletionChoice, Logprobs


class Choice:
    """Gathers the tokens of one sample and gives out its text, whole or piece by piece."""

    def __init__(
        self,
        prompt: EncodedPrompt,
        tokenizer: OptTokenizer,
        *,
        stop: StopStrings | None,
        echo: bool,
        num_top: int | None,
    ):
        """`num_top`: likeliest tokens in each logprobs entry; None leaves logprobs out."""
        self.finish_reason: str | None = None
        self.num_tokens = 0
        self.mean_logprob = 0.0
        """Of the tokens generated so far; the rank among the samples of `best_of`."""
        self._prompt = prompt
        self._tokenizer = tokenizer
        self._detokenizer = Detokenizer(stop)
        self._echo = echo
        self._num_top = num_top
        self._base = len(prompt.text)
        self._text = ""
        self._entries: list[Entry] = []

    def push_prompt(self, event: Prompt) -> None:
        """The prompt was computed: it is echoed if that is wanted."""
        if not self._echo:
            return
        self._text = self._prompt.text
        if self._num_top is not None:
            triples = zip(
                self._prompt.token_ids, event.logprobs or (), self._prompt.offsets or (), strict=True
            )
            self._entries = [
                make_entry(token_id, entry, offset, self._num_top, self._tokenizer.token_text)
                for token_id, entry, offset in triples
            ]

    def push(self, token: Token) -> None:
        """One more token; ignored once the choice has finished."""
        if self.finish_reason is not None:
            return
        self.num_tokens += 1
        self.mean_logprob = token.cumulative_logprob / self.num_tokens
        if self._num_top is not None:
            offset = self._base + self._detokenizer.num_decoded
            self._entries.append(
                make_entry(token.token_id, token.logprobs, offset, self._num_top, self._tokenizer.token_text)
            )
        # The end-of-sequence token is counted and has an entry, but no text.
        is_end = token.finish_reason == "stop"
        self._text += self._detokenizer.push(b"" if is_end else self._tokenizer.piece(token.token_id))
        if self._detokenizer.stopped:
            self.finish("stop")
        elif token.finish_reason is not None:
            self.finish(token.finish_reason)

    def finish(self, reason: str) -> None:
        """Nothing more will come; what was held back is given out."""
        self._text += self._detokenizer.finish()
        self.finish_reason = "stop" if self._detokenizer.stopped else reason

    def take(self) -> tuple[str, Logprobs | None] | None:
        """The text and the entries that are certain and were not taken before; None if there are none.

        An entry is given out with the chunk in which its token's text begins."""
        if self._num_top is None:
            text, self._text = self._text, ""
            return (text, None) if text else None
        end = self._base + self._detokenizer.num_released
        if self.finish_reason is not None:
            entries, self._entries = self._entries, []
        elif self._text:
            count = len(self._entries)
            while count and self._entries[count - 1].offset >= end:
                count -= 1
            entries, self._entries = self._entries[:count], self._entries[count:]
        else:
            return None
        text, self._text = self._text, ""
        if not text and not entries:
            return None
        return text, to_arrays(entries, self._num_top, end=end)

    def no_logprobs(self) -> Logprobs | None:
        """What the chunk that ends a choice carries: empty arrays, or null where they are not wanted."""
        return None if self._num_top is None else to_arrays((), self._num_top)

    def whole(self, index: int) -> CompletionChoice:
        """The choice of an answer that is not streamed."""
        text, logprobs = self.take() or ("", self.no_logprobs())
        return CompletionChoice(text, index, logprobs, self.finish_reason)
