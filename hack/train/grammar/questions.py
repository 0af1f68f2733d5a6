"""Questions with answers, and lists of pairs: what people show a model with a few examples."""

import random
from pathlib import Path

from .expand import expand
from .words import Draws, sections

_HERE = Path(__file__).parent
_FACTS = [
    line.split(" | ") for line in (_HERE / "facts.txt").read_text().splitlines() if line and line[0] != "#"
]
_PAIRS = [
    [tuple(pair.strip().split("|")) for pair in " ".join(lines).split(",") if pair.strip()]
    for lines in sections(_HERE / "pairs.txt").values()
]
_MARKS = [("Q: ", "A: ", "\n"), ("Q: ", "A: ", "\n\n"), ("Question: ", "Answer: ", "\n\n"), ("", "", "\n")]
_ARROWS = [" -> ", ": ", " = ", " => ", ", "]


def questions(rng: random.Random) -> str:
    """One to six questions, each with its answer, in one of the usual forms."""
    draw = Draws(rng)
    ask, answer, gap = rng.choice(_MARKS)
    column = 2 if rng.random() < 0.3 else 1
    chosen = rng.sample(_FACTS, rng.randint(1, 6))
    lines = [
        ask + expand(f[0], rng, draw, {}) + "\n" + answer + expand(f[column], rng, draw, {}) for f in chosen
    ]
    return gap.join(lines)


def pairs(rng: random.Random) -> str:
    """Three to eight pairs of one relation, one a line."""
    relation = rng.choice(_PAIRS)
    arrow = rng.choice(_ARROWS)
    return "\n".join(arrow.join(pair) for pair in rng.sample(relation, rng.randint(3, 8)))
