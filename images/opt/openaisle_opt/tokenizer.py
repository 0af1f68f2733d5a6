"""Text to token ids and back, as OPT's tokenizer in transformers does it: byte-level BPE that begins
every text with `</s>`.

Legend: a *piece* is the bytes that one token stands for; pieces may cut a character in two.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import CheckpointError

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tokenizers import AddedToken, Encoding, Tokenizer, models, pre_tokenizers, processors

_LONG_TEXT = 16_384
"""Characters from which a text is tokenized in a thread, so that other requests need not wait for it."""


@dataclass(frozen=True)
class TokenizedText:
    """Token ids and the place, in code points, at which each of them begins in the text.

    A token that begins within a character has the place of that character."""

    token_ids: list[int]
    offsets: list[int]


class OptTokenizer:
    """The tokenizer of one checkpoint."""

    def __init__(
        self, tokenizer: Tokenizer, *, bos_token_id: int | None, special_tokens: dict[str, str] | None = None
    ):
        """`bos_token_id` is put before every text; None puts nothing there."""
        self.special_tokens = special_tokens or {}
        """Texts of the special tokens by their names in transformers, as `eos_token`."""
        self._tokenizer = tokenizer
        # Offsets are wanted as they are, and `bos_token_id` is put in front here.
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._bos_token_ids = [] if bos_token_id is None else [bos_token_id]
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        added = tokenizer.get_added_tokens_decoder()
        self.special_token_ids = frozenset(i for i, token in added.items() if token.special)
        self.vocab_size = max(vocabulary.values(), default=-1) + 1
        self._pieces: list[bytes] = [b""] * self.vocab_size
        self._token_texts: list[str] = [""] * self.vocab_size
        for token, token_id in vocabulary.items():
            piece = token.encode() if token_id in added else _bytes_of(token)
            self._token_texts[token_id] = _display(piece)
            self._pieces[token_id] = b"" if token_id in self.special_token_ids else piece
        self._make_texts_distinct()
        texts = (token.content for token in added.values())
        self.longest_token = max(map(len, [b"-", *self._pieces, *texts]))
        """Characters that one token can stand for, or more."""

    def _make_texts_distinct(self) -> None:
        """Two ids may not share a text, or one would hide the other in `top_logprobs`."""
        seen: set[str] = set()
        for token_id, text in enumerate(self._token_texts):
            if not text or text in seen:
                self._token_texts[token_id] = f"<|id:{token_id}|>"
            seen.add(self._token_texts[token_id])

    async def encode(self, text: str) -> TokenizedText:
        """Token ids of a text; special tokens written out in it become those tokens."""
        if len(text) < _LONG_TEXT:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        else:
            encoding = await asyncio.to_thread(self._encode_without_the_interpreter, text)
        starts = [start for start, _ in encoding.offsets]
        return TokenizedText(self._bos_token_ids + encoding.ids, [0] * len(self._bos_token_ids) + starts)

    async def encode_once_begun(self, text: str) -> TokenizedText:
        """As `encode`, but a `</s>` that the text itself begins with is not put there twice."""
        tokenized = await self.encode(text)
        leading = self.num_leading_tokens
        if tokenized.token_ids[leading : 2 * leading] == self._bos_token_ids:
            return TokenizedText(tokenized.token_ids[leading:], tokenized.offsets[leading:])
        return tokenized

    def _encode_without_the_interpreter(self, text: str) -> Encoding:
        """As `Tokenizer.encode`, which unlike a batch of one keeps the interpreter's lock."""
        return self._tokenizer.encode_batch([text], add_special_tokens=False)[0]

    def piece(self, token_id: int) -> bytes:
        """The bytes that a token adds to a text; none for special tokens and ids without a token."""
        return self._pieces[token_id] if token_id < self.vocab_size else b""

    @property
    def num_leading_tokens(self) -> int:
        """Tokens that `encode` puts before every text."""
        return len(self._bos_token_ids)

    def token_name(self, token_id: int) -> str:
        """A token as the vocabulary writes it, with `Ġ` for a space."""
        return self._tokenizer.id_to_token(token_id) or self.token_text(token_id)

    def decode(self, token_ids: list[int], *, keep_special_tokens: bool = False) -> str:
        """The text of some tokens; bytes that are no UTF-8 become U+FFFD."""
        if keep_special_tokens:
            pieces = [
                self.token_text(i).encode() if i in self.special_token_ids else self.piece(i)
                for i in token_ids
            ]
        else:
            pieces = [self.piece(token_id) for token_id in token_ids]
        return b"".join(pieces).decode("utf-8", "replace")

    def token_text(self, token_id: int) -> str:
        r"""A text for one token that no other token has: what it stands for, or `bytes:\xe2\x80` for a
        part of a character."""
        if token_id < self.vocab_size:
            return self._token_texts[token_id]
        return f"<|id:{token_id}|>"


def load_tokenizer(folder: Path) -> OptTokenizer:
    """The tokenizer in `folder`: tokenizer.json, or vocab.json and merges.txt as Meta published OPT.

    Raises:
        CheckpointError: the files are missing or broken.
    """
    config = _read_config(folder / "tokenizer_config.json")
    special = _special_tokens(config | _read_config(folder / "special_tokens_map.json"))
    try:
        if (folder / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        else:
            vocab, merges = models.BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
            tokenizer = Tokenizer(models.BPE(vocab, merges))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
                add_prefix_space=bool(config.get("add_prefix_space", False))
            )
    # The Rust side raises plain exceptions for whatever is wrong with the files.
    except Exception as error:
        raise CheckpointError(f"The tokenizer in {folder} cannot be read: {error}.") from error
    if special:
        tokenizer.add_special_tokens(list(special.values()))
    bos = special.get("bos_token")
    bos_token_id = tokenizer.token_to_id(bos.content if bos else "</s>")
    # A tokenizer.json may say by its own template whether a text begins with `</s>`.
    by_template = tokenizer.encode("", add_special_tokens=True).ids == [bos_token_id]
    if not (by_template or config.get("add_bos_token", True)):
        bos_token_id = None
    names = {name: token.content for name, token in special.items()}
    return OptTokenizer(tokenizer, bos_token_id=bos_token_id, special_tokens=names)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    return value if isinstance(value, dict) else {}


def _special_tokens(config: dict[str, Any]) -> dict[str, AddedToken]:
    """The named special tokens of a configuration; OPT's own where it names none."""
    defaults = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    special = {}
    for name, default in defaults.items():
        value = config.get(name, default)
        if isinstance(value, str):
            special[name] = AddedToken(value, normalized=True, special=True)
        elif isinstance(value, dict) and isinstance(value.get("content"), str):
            flags = {key: bool(value.get(key)) for key in ("single_word", "lstrip", "rstrip", "normalized")}
            special[name] = AddedToken(value["content"], special=True, **flags)
    return special


def _gpt2_alphabet() -> dict[str, int]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    alphabet.update({chr(0x100 + place): byte for place, byte in enumerate(others)})
    return alphabet


_BYTE_OF = _gpt2_alphabet()


def _bytes_of(token: str) -> bytes:
    try:
        return bytes([_BYTE_OF[character] for character in token])
    except KeyError:
        return token.encode()


def _display(piece: bytes) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)
