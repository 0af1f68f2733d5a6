"""The word lists of words.txt, by name."""

import random
from pathlib import Path

VERBS = {"jobs": ("work", "worked", "working"), "plays": ("play", "played", "playing")}


def sections(path: Path) -> dict[str, list[str]]:
    """The lines below each `== heading` of a file; comments and empty lines are left out."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith("== "):
            lines = found[line[3:]] = []
        elif line and not line.startswith("#"):
            lines.append(line)
    return found


def _load() -> dict[str, list[str]]:
    lists = {}
    for name, lines in sections(Path(__file__).with_name("words.txt")).items():
        text = " ".join(lines)
        lists[name] = [word.strip() for word in text.split(";" if ";" in text else ",") if word.strip()]
    for name, forms in VERBS.items():
        for index, form in enumerate(forms):
            lists[form] = [_inflected(verb, index) for verb in lists[name]]
    return lists


def _inflected(verb: str, index: int) -> str:
    """One form of "sing/sang/singing songs"."""
    forms, _, rest = verb.partition(" ")
    return f"{forms.split('/')[index]} {rest}"


WORDS = _load()


class Draws:
    """Words drawn for one text; no word of a list comes twice while others are left."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left: dict[str, list[str]] = {}

    def __call__(self, name: str) -> str:
        left = self._left.get(name)
        if not left:
            left = self._left[name] = list(WORDS[name])
        return left.pop(self._rng.randrange(len(left)))
