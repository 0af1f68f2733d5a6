"""Templates and their expansion into clean English."""

import random
import re

from .words import WORDS

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_DRAW = re.compile(r"<(\w+)>")
_RAISED = re.compile(r"\^(.)")
_SENTENCE_START = re.compile(r'((?:^|\n|[.!?] |\." |, "|: ")"?)([a-z])')
_VOWEL = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!one|uni|use|eu)")
_SPACES = re.compile(r" {2,}")


def expand(template: str, rng: random.Random, slots: dict[str, object]) -> str:
    """Turn a template into a sentence or more.

    `[a|b|]` is a choice, which may nest; `<food>` draws a word of that list; `{hero.he}` is an attribute of a
    slot; `^` raises the next letter. The first letter of a sentence is raised, and "a" becomes "an", by itself.
    """
    text = template
    while "[" in text:
        text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
    text = _DRAW.sub(lambda match: rng.choice(WORDS[match[1]]), text)
    text = text.format_map(slots)
    text = _VOWEL.sub(r"\1n ", _SPACES.sub(" ", text.strip()))
    text = _RAISED.sub(lambda match: match[1].upper(), text)
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)
