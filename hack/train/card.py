"""The model card: card.md with the figures of this training."""

from datetime import date
from pathlib import Path

from books import PACKAGES
from loop import TOKENS_PER_STEP

_TEMPLATE = Path(__file__).with_name("card.md")


def write_card(
    file: Path,
    *,
    parameters: int,
    minutes: float,
    steps: int,
    arithmetic: str,
    book_share: float,
    bits_per_byte: float,
    samples: list[str],
) -> None:
    andersen, grimm = PACKAGES
    text = _TEMPLATE.read_text().format(
        parameters=f"{parameters / 1e6:.2f}",
        minutes=f"{minutes:.0f}",
        steps=steps,
        arithmetic=arithmetic,
        tokens=f"{steps * TOKENS_PER_STEP / 1e6:.1f}",
        bits_per_byte=f"{bits_per_byte:.2f}",
        own_share=f"{100 * (1 - book_share):.0f}",
        book_share=f"{100 * book_share:.0f}",
        andersen=andersen,
        grimm=grimm,
        date=date.today().isoformat(),
        samples="\n\n".join("> " + sample.replace("\n", "\n> ") for sample in samples),
    )
    file.write_text(text)
