"""What the model reads: an endless stream of documents, the same for the same seed and step."""

import random
import re
from dataclasses import dataclass

import torch
from stories.tales import tale
from stories.talk import talk
from tokenizers import Tokenizer

BOOK_SHARE = 0.1
TALK_SHARE = 0.25
LATE_START_SHARE = 0.15  # documents that begin in mid-story, since people's prompts do too
_SENTENCE_END = re.compile(r'(?<=[.!?])"? (?=[A-Z"])')


@dataclass(frozen=True)
class Mixture:
    """Documents of our own grammar, and passages of old books."""

    passages: list[str]
    book_share: float = BOOK_SHARE
    seed: int = 1

    def document(self, rng: random.Random) -> str:
        if rng.random() < self.book_share:
            return rng.choice(self.passages)
        text = talk(rng) if rng.random() < TALK_SHARE else tale(rng)
        if rng.random() >= LATE_START_SHARE:
            return text
        starts = [match.end() for match in _SENTENCE_END.finditer(text)]
        return text[rng.choice(starts) :] if starts else text

    def batch(self, tokenizer: Tokenizer, step: int, rows: int, length: int) -> torch.Tensor:
        """Token ids [rows, length + 1] of step `step`: documents end to end, cut into rows."""
        rng = random.Random(f"{self.seed} {step}")
        ids: list[int] = []
        while len(ids) < rows * (length + 1):
            ids += tokenizer.encode(self.document(rng)).ids
        return torch.tensor(ids[: rows * (length + 1)]).view(rows, length + 1)
