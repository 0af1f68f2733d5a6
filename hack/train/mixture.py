"""What the model reads: an endless stream of documents, the same for the same seed and step."""

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from grammar.questions import pairs, questions
from grammar.story import Story, load
from tokenizers import Tokenizer

SHARES = {"tale": 64, "talk": 28, "questions": 4, "pairs": 2, "book": 2}  # of the documents, in percent
LATE_START_SHARE = 0.12  # stories that begin with a later sentence, since people's prompts do too
_GRAMMAR = Path(__file__).with_name("grammar")
_SENTENCE_END = re.compile(r'[.!?]"? (?=[A-Z"])')


@dataclass(frozen=True)
class Mixture:
    """Texts of our own grammar, and `passages` of old books."""

    passages: list[str]
    seed: int = 1
    tales: list[Story] = field(default_factory=lambda: load(_GRAMMAR / "tales"))
    talks: list[Story] = field(default_factory=lambda: load(_GRAMMAR / "talk"))

    def document(self, rng: random.Random) -> str:
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
        if kind == "book":
            return rng.choice(self.passages)
        if kind == "questions":
            return questions(rng)
        if kind == "pairs":
            return pairs(rng)
        stories = self.tales if kind == "tale" else self.talks
        text = rng.choices(stories, [story.weight for story in stories])[0].tell(rng)
        starts = [match.end() for match in _SENTENCE_END.finditer(text)]
        if starts and rng.random() < LATE_START_SHARE:
            return text[rng.choice(starts) :]
        return text

    def book_share_of_text(self, rng: random.Random, num_documents: int = 3000) -> float:
        """The share of characters that comes from the books, whose passages are long."""
        documents = [self.document(rng) for _ in range(num_documents)]
        books = set(self.passages)
        return sum(len(d) for d in documents if d in books) / sum(map(len, documents))

    def batch(self, tokenizer: Tokenizer, step: int, rows: int, length: int) -> torch.Tensor:
        """Token ids [rows, length + 1] of step `step`: documents end to end, cut into rows."""
        rng = random.Random(f"{self.seed} {step}")
        ids: list[int] = []
        while len(ids) < rows * (length + 1):
            ids += tokenizer.encode(self.document(rng)).ids
        return torch.tensor(ids[: rows * (length + 1)]).view(rows, length + 1)
