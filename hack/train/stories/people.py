"""Those whom a story is about, with the words that name them."""

import random
from dataclasses import dataclass

from .words import WORDS

_PRONOUNS = {"he": ("he", "him", "his", "himself"), "she": ("she", "her", "her", "herself")}
_WOMENS_TRADES = ["fisherman", "postman", "ferryman", "woodcutter", "blacksmith", "soldier"]


@dataclass(frozen=True)
class Person:
    """A character: `name` is how the text calls it ("Anna", "the fox"), `intro` how it is first met."""

    name: str
    intro: str
    the: str
    he: str
    him: str
    his: str
    himself: str
    home: str
    rng: random.Random

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """The name, the kind or the pronoun: some way to call it when there is no doubt who is meant."""
        return self.rng.choice((self.name, self.the, self.he, self.he))


def _person(rng: random.Random, gender: str, name: str, intro: str, kind: str, homes: str = "home") -> Person:
    return Person(name, intro, f"the {kind}", *_PRONOUNS[gender], home=rng.choice(WORDS[homes]), rng=rng)


def child(rng: random.Random) -> Person:
    gender = rng.choice(("he", "she"))
    kind = {"he": "boy", "she": "girl"}[gender]
    name = rng.choice(WORDS[kind])
    adj = rng.choice(
        ("little", "small", "young", "poor", "brave", "clever", "kind", "shy", "curious", "happy")
    )
    called = rng.choice(("named", "called", "whose name was"))
    return _person(rng, gender, name, f"a {adj} {kind} {called} {name}", kind)


def grown(rng: random.Random) -> Person:
    gender = rng.choice(("he", "she"))
    kind = rng.choice(WORDS["trade"])
    while gender == "she" and kind in _WOMENS_TRADES:
        kind = rng.choice(WORDS["trade"])
    if rng.random() < 0.25:
        kind = {"he": "man", "she": "woman"}[gender]
    adj = rng.choice(WORDS["person_adj"] + ["old", "young", "old", "young"])
    if rng.random() < 0.5:
        name = rng.choice(WORDS[{"he": "boy", "she": "girl"}[gender]])
        called = rng.choice(("named", "called", "whose name was"))
        return _person(rng, gender, name, f"a {adj} {kind} {called} {name}", kind)
    if adj in ("old", "young") and rng.random() < 0.6:
        kind = f"{adj} {kind}"
        return _person(rng, gender, f"the {kind}", f"a {kind}", kind)
    return _person(rng, gender, f"the {kind}", f"a {adj} {kind}", kind)


def animal(rng: random.Random) -> Person:
    gender = rng.choice(("he", "she"))
    kind = rng.choice(WORDS["animal"])
    if kind in ("hen", "cow"):
        gender = "she"
    adj = rng.choice(WORDS["animal_adj"])
    if rng.random() < 0.35:
        name = rng.choice(WORDS["pet_name"])
        return _person(
            rng, gender, name, f"a {adj} {kind} {rng.choice(('named', 'called'))} {name}", kind, "burrow"
        )
    if rng.random() < 0.3:
        return _person(rng, gender, f"the {adj} {kind}", f"a {adj} {kind}", kind, "burrow")
    return _person(rng, gender, f"the {kind}", f"a {adj} {kind}", kind, "burrow")


def royal(rng: random.Random) -> Person:
    gender = rng.choice(("he", "she"))
    kind = rng.choice(WORDS[{"he": "royal_man", "she": "royal_woman"}[gender]])
    adj = rng.choice(("good", "proud", "rich", "wise", "sad", "mighty", "kind", "lonely"))
    return _person(rng, gender, f"the {kind}", f"a {adj} {kind}", kind, "palace")


def anyone(rng: random.Random) -> Person:
    return rng.choices((child, grown, animal, royal), (4, 3, 4, 1))[0](rng)


def another(rng: random.Random, first: Person) -> Person:
    """Someone of the other pronoun, so that "he" and "she" stay clear."""
    while True:
        person = anyone(rng)
        if person.he != first.he and person.the != first.the:
            return person
