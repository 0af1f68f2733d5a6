"""When the text and the log-probabilities of a token are given out."""

from __future__ import annotations

from openaisle_opt.detokenizer import StopStrings
from openaisle_opt.protocol import Token, TokenLogprobs
from openaisle_opt.server.choice import Choice
from openaisle_opt.server.prompts import EncodedPrompt
from openaisle_opt.server.shapes import CompletionShape
from openaisle_opt.tokenizer import OptTokenizer


def _pieces(tokenizer: OptTokenizer, text: str, stop: list[str]) -> list[tuple[str, list[str], list[int]]]:
    """Text, tokens and offsets that come out after each token of `text`."""
    prompt = EncodedPrompt([2], "hello", [0])
    stops = StopStrings(stop) if stop else None
    choice = Choice(prompt, tokenizer, stop=stops, echo=False, keeps_entries=True)
    shape = CompletionShape(tokenizer, num_top=0)
    token_ids = tokenizer._tokenizer.encode(text, add_special_tokens=False).ids
    pieces = []
    for place, token_id in enumerate(token_ids, 1):
        reason = "length" if place == len(token_ids) else None
        choice.push(Token("0", 0, token_id, 0.0, TokenLogprobs(-1.0), reason))
        if (piece := choice.take()) is not None:
            shaped = shape.piece(0, piece)
            assert shaped.logprobs is not None
            pieces.append((shaped.text, shaped.logprobs.tokens, shaped.logprobs.text_offset))
    return pieces


def test_an_entry_comes_with_the_text_of_its_token(tokenizer: OptTokenizer) -> None:
    parts = [r"bytes:\xf0", r"bytes:\x9f", r"bytes:\x98", r"bytes:\x80"]
    assert _pieces(tokenizer, "a😀b", []) == [
        ("a", ["a"], [5]),
        ("😀", parts, [6, 6, 6, 6]),
        ("b", ["b"], [7]),
    ]


def test_an_entry_waits_while_its_text_may_be_a_stop_string(tokenizer: OptTokenizer) -> None:
    assert _pieces(tokenizer, "abcd", ["bcx"]) == [("a", ["a"], [5]), ("bcd", ["b", "c", "d"], [6, 7, 8])]


def test_entries_of_a_stop_string_lie_at_the_end_of_the_text(tokenizer: OptTokenizer) -> None:
    assert _pieces(tokenizer, "abcd", ["bcd"]) == [("a", ["a"], [5]), ("", ["b", "c", "d"], [6, 6, 6])]
