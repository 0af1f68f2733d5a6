"""The report, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from .finding import Finding, counts
from .view import View

GUIDE = "docs/troubleshooting.md"


def as_text(view: View, findings: Sequence[Finding]) -> str:
    """A line for each finding, the cure below it, and a sum at the end."""
    lines = [f"Release {view.release} in the namespace {view.namespace}:", ""]
    for finding in findings:
        lines.append(f"{finding.status:<7}  {finding.check:<10}  {finding.text}")
        if finding.cure:
            lines.append(f"{'':<21}-> {finding.cure}")
        if finding.see:
            lines.append(f"{'':<24}({GUIDE}#{finding.see})")
    found = counts(findings)
    lines += ["", ", ".join(f"{number} {status}" for status, number in found.items()) + "."]
    return "\n".join(lines)


def as_json(view: View, findings: Sequence[Finding]) -> str:
    """The same as one JSON object."""
    return json.dumps(
        {
            "release": view.release,
            "namespace": view.namespace,
            "counts": counts(findings),
            "findings": [asdict(finding) for finding in findings],
        },
        indent=2,
        ensure_ascii=False,
    )
