"""Templates and their expansion into clean English."""

import random
import re
from collections.abc import Mapping

from .words import Draws

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_DRAW = re.compile(r"<([\w ]+)>")
_RAISED = re.compile(r"\^(.)")
_SENTENCE_START = re.compile(r'((?:^|\n|[.!?] |\." |, "|: )"?)([a-z])')
_VOWEL = re.compile(r"\b([Aa]) (?=[aeiouAEIOU]|hour|honest)(?!one|uni|use|eu)")
_SPACES = re.compile(r" {2,}")


def fill(template: str, rng: random.Random, draw: Draws, slots: Mapping[str, object]) -> str:
    """Choose and draw: `[a|b|]` is a choice, which may nest; `<food>` a word of a list; `{h.he}` a slot's."""
    text = template
    while "[" in text:
        text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
    return _DRAW.sub(lambda match: draw(match[1]), text).format_map(slots)


def expand(template: str, rng: random.Random, draw: Draws, slots: Mapping[str, object]) -> str:
    """Fill a template and make it clean English.

    The first letter of a sentence is raised, and "a" becomes "an", by themselves; `^` raises the next letter
    elsewhere; `//` breaks the line.
    """
    text = re.sub(r" ?// ?", "\n", _SPACES.sub(" ", fill(template, rng, draw, slots).strip()))
    text = _RAISED.sub(lambda match: match[1].upper(), _VOWEL.sub(r"\1n ", text))
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)
