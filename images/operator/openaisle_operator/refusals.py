"""What helm's messages say about a model."""

from __future__ import annotations

import re

from .errors import Refused

REASONS = {
    "UnknownFamily": r"gpuFamily \S+ doesn't exist",
    "DoesNotFit": r"the model doesn't fit",
    "NameTooLong": r"Kubernetes allows \d+",
}
"""Reasons of conditions by what the chart says (templates/_checks.tpl)."""


def refusal_of(message: str) -> Refused:
    """The refusal that a failed `helm template` with one model in `models` printed."""
    if "values don't meet the specifications of the schema" in message:
        faults = re.findall(r"^ *- at '/models/0([^']*)': (.*)$", message, re.MULTILINE)
        sentences = [
            f"spec{path.replace('/', '.')}: {fault}"
            for path, fault in faults
            # What failed in it comes below.
            if fault not in ("'anyOf' failed", "'allOf' failed")
        ]
        return Refused("InvalidSpec", "; ".join(sentences) or _tidy(message))
    if "these values cannot work:" in message:
        sentences = [
            re.sub(r"^models\[0\]( \(.*?\))?: ", "", line.removeprefix("- "))
            for line in message.splitlines()
            if line.startswith("- ")
        ]
        text = " ".join(sentences)
        for reason, pattern in REASONS.items():
            if re.search(pattern, text):
                return Refused(reason, text)
        return Refused("InvalidSpec", text)
    return Refused("RenderFailed", f"The chart's templates failed: {_tidy(message)}")


def _tidy(message: str) -> str:
    return " ".join(message.replace("Use --debug flag to render out invalid YAML", "").split())
