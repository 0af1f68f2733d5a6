"""Figures of several rounds, as a table for people and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One quantity over all rounds."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: list[float]) -> Figure:
        return cls(min(values), statistics.median(values), max(values))

    def show(self, digits: int) -> str:
        return f"{self.median:.{digits}f} ({self.min:.{digits}f} to {self.max:.{digits}f})"


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """A Markdown table, so that it can be copied into docs/benchmarks.md."""
    table = [header, ["---"] * len(header), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        fill = "-" if row[0] == "---" else " "
        print(
            "| " + " | ".join(cell.ljust(width, fill) for cell, width in zip(row, widths, strict=True)) + " |"
        )


def write_json(path: str, results: list[dict[str, Any]], **settings: Any) -> None:
    """Everything that was measured, with the machine it was measured on."""
    plain = [{k: asdict(v) if isinstance(v, Figure) else v for k, v in result.items()} for result in results]
    document = {"machine": describe_machine(), "settings": settings, "results": plain}
    Path(path).write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")


def describe_machine() -> str:
    """CPU, cores and what they know, in a line."""
    model, flags = platform.processor() or platform.machine(), set()
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            model = value.strip()
        if name.strip() == "flags":
            flags = set(value.split())
    known = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {' '.join(known) or platform.machine()}"
