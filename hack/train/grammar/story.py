"""Narrative structures: files of beats, and their telling.

A file begins with slots (`h = anyone`, `f = other than h`, `c = like a`, `thing = <thing>`) and goes on
with beats. Empty lines part the beats; each line of a beat is one wording, of which one is told. A line
`@mood` stands for all wordings of that section in phrases.txt. Before a beat, `50%` tells it only so
often, `2-3 times` repeats it with new wordings, and `---` may begin a paragraph. `weight = 3` says how
often the structure is chosen, beside the others.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

from .expand import expand, fill
from .people import Cast, Person
from .words import Draws, sections

_SLOT = re.compile(r"(\w+) = (.*)")
_SLOT_USE = re.compile(r"\{(\w+)")
_CHANCE = re.compile(r"(\d+)%")
_TIMES = re.compile(r"(\d)-(\d) times")
_PARAGRAPH_CHANCE = 0.35
_PEOPLE = ("child", "named", "grown", "animal", "royal", "anyone", "human")
_PHRASES = sections(Path(__file__).with_name("phrases.txt"))


@dataclass(frozen=True)
class Beat:
    own: list[str]
    shared: list[str]
    chance: float = 1.0
    times: tuple[int, int] = (1, 1)
    new_paragraph: bool = False


@dataclass(frozen=True)
class Story:
    """One structure, as its file says."""

    name: str
    weight: int
    slots: dict[str, str]
    beats: list[Beat]
    separator: str

    def tell(self, rng: random.Random) -> str:
        draw = Draws(rng)
        slots = _cast(self.slots, rng, draw)
        told: set[str] = set()
        paragraphs: list[list[str]] = [[]]
        for beat in self.beats:
            if rng.random() >= beat.chance:
                continue
            if beat.new_paragraph and paragraphs[-1] and rng.random() < _PARAGRAPH_CHANCE:
                paragraphs.append([])
            for _ in range(rng.randint(*beat.times)):
                fitting = beat.own + [wording for wording in beat.shared if _fits(wording, slots)]
                if not fitting:
                    break
                wording = rng.choice([w for w in fitting if w not in told] or fitting)
                told.add(wording)
                paragraphs[-1].append(expand(wording, rng, draw, slots))
        return "\n\n".join(self.separator.join(sentences) for sentences in paragraphs)


def load(folder: Path) -> list[Story]:
    """Every structure of a folder."""
    return [_parse(path) for path in sorted(folder.glob("*.txt"))]


def _parse(path: Path) -> Story:
    head, _, body = path.read_text().partition("\n\n")
    slots = dict(match.groups() for line in head.splitlines() if (match := _SLOT.fullmatch(line)))
    weight = int(slots.pop("weight", "3"))
    separator = {"space": " ", "line": "\n"}[slots.pop("separator", "space")]
    return Story(path.stem, weight, slots, [_beat(block) for block in body.strip().split("\n\n")], separator)


def _beat(block: str) -> Beat:
    own: list[str] = []
    shared: list[str] = []
    chance, times, new_paragraph = 1.0, (1, 1), False
    for line in block.splitlines():
        if match := _CHANCE.fullmatch(line):
            chance = int(match[1]) / 100
        elif match := _TIMES.fullmatch(line):
            times = (int(match[1]), int(match[2]))
        elif line == "---":
            new_paragraph = True
        elif line.startswith("@"):
            shared += _PHRASES[line[1:]]
        elif line:
            own.append(line)
    return Beat(own, shared, chance, times, new_paragraph)


def _fits(wording: str, slots: dict[str, object]) -> bool:
    """Whether a shared wording speaks only of people whom the reader knows, or introduces them itself."""
    for name in set(_SLOT_USE.findall(wording)):
        person = slots.get(name)
        if not isinstance(person, Person) or not (person.is_known or f"{{{name}.intro}}" in wording):
            return False
    return True


def _cast(sources: dict[str, str], rng: random.Random, draw: Draws) -> dict[str, object]:
    cast = Cast(rng, draw)
    slots: dict[str, object] = {}
    for name, source in sources.items():
        if source in _PEOPLE:
            slots[name] = cast.make(source)
        elif source.startswith("other than "):
            first = slots[source.removeprefix("other than ")]
            assert isinstance(first, Person)
            slots[name] = cast.other(first)
        elif source.startswith("like "):
            first = slots[source.removeprefix("like ")]
            assert isinstance(first, Person)
            slots[name] = cast.make("named", first.he)
        else:
            slots[name] = fill(source, rng, draw, slots)
    return slots
