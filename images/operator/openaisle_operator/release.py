"""The release that the operator belongs to, as the chart describes it in a ConfigMap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import StartError

FILE = "release.yaml"


@dataclass(frozen=True)
class Release:
    """What a model shares with the release's own models."""

    name: str
    namespace: str
    chart_version: str
    values: dict[str, Any]
    """The release's values, with the chart's defaults, as far as models depend on them."""
    served_names: dict[str, str]
    """Names for clients of the models in the release's values, by the models' names."""


def load_release(name: str, namespace: str, values_dir: Path) -> Release:
    """The release.

    Raises:
        StartError: the file isn't there, or isn't what the chart writes.
    """
    path = values_dir / FILE
    try:
        content = yaml.safe_load(path.read_text())
        return Release(
            name=name,
            namespace=namespace,
            chart_version=content["chartVersion"],
            values=content["values"],
            served_names={model["name"]: model["servedName"] for model in content["models"]},
        )
    except OSError as error:
        raise StartError(
            f"{path} can't be read ({error.strerror}): mount the release's ConfigMap there."
        ) from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise StartError(
            f"{path} isn't what the chart writes: mount the release's ConfigMap there."
        ) from error
