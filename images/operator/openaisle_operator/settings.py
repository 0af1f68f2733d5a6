"""What the operator is told at its start."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import StartError


@dataclass(frozen=True)
class Settings:
    """Read and checked once."""

    namespace: str
    release: str
    values_dir: Path
    """A folder with what the chart writes for the operator: see release.py."""
    chart_dir: Path
    helm: str
    """Full path of the program."""
    liveness_port: int


def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from the command line.

    Raises:
        StartError: a folder or program isn't there.
    """
    parser = argparse.ArgumentParser(
        prog="openaisle-operator", description="Makes the chart's objects for each OPTModel in a namespace."
    )
    parser.add_argument("--namespace", required=True, help="the namespace of the release and its OPTModels")
    parser.add_argument("--release", required=True, help="the release's name")
    parser.add_argument(
        "--values-dir",
        type=Path,
        required=True,
        help="folder with the release's values, as the chart writes it",
    )
    parser.add_argument(
        "--chart-dir",
        type=Path,
        default=Path("/opt/openaisle/chart"),
        help="folder of the chart (%(default)s)",
    )
    parser.add_argument("--helm", default="helm", help="the helm program (%(default)s)")
    parser.add_argument("--liveness-port", type=int, default=8080, help="port of /healthz (%(default)s)")
    given = parser.parse_args(arguments)
    helm = shutil.which(given.helm)
    if helm is None:
        raise StartError(f"There is no program {given.helm}: name helm in --helm.")
    if not (given.chart_dir / "Chart.yaml").is_file():
        raise StartError(f"{given.chart_dir} holds no chart: name its folder in --chart-dir.")
    return Settings(
        namespace=given.namespace,
        release=given.release,
        values_dir=given.values_dir,
        chart_dir=given.chart_dir,
        helm=helm,
        liveness_port=given.liveness_port,
    )
