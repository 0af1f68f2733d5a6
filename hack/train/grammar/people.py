"""Those whom a text is about, with the words that name them."""

import random
from dataclasses import dataclass

from .words import WORDS, Draws

_PRONOUNS = {"he": ("he", "him", "his", "himself"), "she": ("she", "her", "her", "herself")}
_FAMILY = {"he": ("brother", "son"), "she": ("sister", "daughter")}


@dataclass
class Person:
    """A character: `str()` is how the text calls it ("Anna", "the fox"), `you` how others speak to it."""

    name: str
    introduction: str
    you: str
    the: str
    home: str
    he: str
    him: str
    his: str
    himself: str
    sibling: str
    child: str
    is_known: bool = False

    def __str__(self) -> str:
        self.is_known = True
        return self.name

    @property
    def intro(self) -> str:
        """The introduction, and the name once the reader knows it."""
        words = self.name if self.is_known else self.introduction
        self.is_known = True
        return words


class Cast:
    """Makes the characters of one text."""

    def __init__(self, rng: random.Random, draw: Draws) -> None:
        self._rng = rng
        self._draw = draw

    def make(self, kind: str, gender: str | None = None) -> Person:
        """A person of a kind: child, named (child), grown, animal, royal, anyone or human.

        `gender` is "he", "she", or None for either."""
        if kind == "anyone":
            kind = self._rng.choices(("child", "grown", "animal", "royal"), (4, 3, 4, 1))[0]
        if kind == "human":
            kind = self._rng.choice(("child", "grown"))
        return getattr(self, f"_{kind}")(gender or self._rng.choice(("he", "she")))

    def other(self, first: Person) -> Person:
        """Someone with the other pronoun, so that "he" and "she" stay clear."""
        gender = "she" if first.he == "he" else "he"
        while (person := self.make("anyone", gender)).the == first.the:
            pass
        return person

    def _child(self, gender: str) -> Person:
        if self._rng.random() < 0.85:
            return self._named(gender)
        kind = {"he": "boy", "she": "girl"}[gender]
        return self._person(gender, f"the {kind}", f"a {self._draw('child adj')} {kind}", kind, "home")

    def _named(self, gender: str) -> Person:
        kind = {"he": "boy", "she": "girl"}[gender]
        adj = self._draw("child adj")
        name = self._draw(kind)
        return self._person(gender, name, f"a {adj} {kind} {self._called()} {name}", kind, "home")

    def _grown(self, gender: str) -> Person:
        kind = self._draw("trade")
        while gender == "she" and kind in WORDS["mans trade"]:
            kind = self._draw("trade")
        if self._rng.random() < 0.3:
            kind = {"he": "man", "she": "woman"}[gender]
        adj = self._draw("person adj")
        if self._rng.random() < 0.5:
            name = self._draw({"he": "boy", "she": "girl"}[gender])
            return self._person(gender, name, f"a {adj} {kind} {self._called()} {name}", kind, "home")
        if adj in ("old", "young") and self._rng.random() < 0.6:
            return self._person(gender, f"the {adj} {kind}", f"a {adj} {kind}", f"{adj} {kind}", "home")
        return self._person(gender, f"the {kind}", f"a {adj} {kind}", kind, "home")

    def _animal(self, gender: str) -> Person:
        kind = self._draw("animal")
        while gender == "he" and kind in ("hen", "cow"):
            kind = self._draw("animal")
        adj = self._draw("animal adj")
        if self._rng.random() < 0.35:
            name = self._draw("pet")
            return self._person(gender, name, f"a {adj} {kind} {self._called()} {name}", kind, "burrow")
        called = f"{adj} {kind}" if self._rng.random() < 0.3 else kind
        return self._person(gender, f"the {called}", f"a {adj} {kind}", called, "burrow")

    def _royal(self, gender: str) -> Person:
        kind = self._draw({"he": "royal man", "she": "royal woman"}[gender])
        return self._person(gender, f"the {kind}", f"a {self._draw('royal adj')} {kind}", kind, "palace")

    def _called(self) -> str:
        return self._rng.choice(("named", "called", "whose name was"))

    def _person(self, gender: str, name: str, intro: str, kind: str, homes: str) -> Person:
        you = name if name[0].isupper() else f"dear {kind}"
        return Person(
            name, intro, you, f"the {kind}", self._draw(homes), *_PRONOUNS[gender], *_FAMILY[gender]
        )
