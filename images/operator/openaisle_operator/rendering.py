"""A model's objects, by the chart's own templates, so that an OPTModel is what an entry of `models` is.

helm gets its values as JSON: by its rules of YAML 12e45 is a number, and by those of Python a text.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from .errors import Refused, StartError
from .refusals import refusal_of
from .release import Release

TIMEOUT_S = 30.0
"""helm takes 0.2 s, on a busy node some seconds."""


class Renderer:
    """Runs helm on a copy of the chart that holds the templates of models alone."""

    def __init__(self, helm: str, chart_dir: Path, release: Release, kube_version: str, work_dir: Path):
        """Make the copy below work_dir. The version is the API server's, on which some templates depend.

        Raises:
            StartError: the release was made by another version of the chart.
        """
        version = yaml.safe_load((chart_dir / "Chart.yaml").read_text())["version"]
        if version != release.chart_version:
            raise StartError(
                f"The release was made by version {release.chart_version} of the chart and this image "
                f"carries {version}: leave operator.image empty, or name an image of the chart's version."
            )
        self._helm = helm
        self._release = release
        self._kube_version = kube_version
        self._chart = work_dir / "chart"
        _copy_for_models(chart_dir, self._chart, release.values)
        self._rendered: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}

    async def render(self, name: str, spec: dict[str, Any]) -> list[dict[str, Any]]:
        """The objects of the model. The same answer again costs nothing.

        Raises:
            Refused: the chart says what is wrong.
        """
        known = self._rendered.get(name)
        if known is None or known[0] != spec:
            known = spec, await self._run({"models": [{**spec, "name": name}]})
            self._rendered[name] = known
        return known[1]

    def forget(self, name: str) -> None:
        """The model is gone."""
        self._rendered.pop(name, None)

    async def _run(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        command = [self._helm, "template", self._release.name, str(self._chart)]
        process = await asyncio.create_subprocess_exec(
            *command,
            f"--namespace={self._release.namespace}",
            f"--kube-version={self._kube_version}",
            "--values=-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, message = await asyncio.wait_for(
                process.communicate(json.dumps(values).encode()), TIMEOUT_S
            )
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()
            raise Refused("RenderFailed", f"helm gave no answer within {TIMEOUT_S:g} s.") from None
        if process.returncode:
            raise refusal_of(message.decode(errors="replace"))
        return [without_empty_lists(item) for item in yaml.safe_load_all(output) if item]


def without_empty_lists(value: Any) -> Any:
    """The same for Kubernetes, which drops them: an object that has them would look changed at each round."""
    if isinstance(value, dict):
        return {key: without_empty_lists(item) for key, item in value.items() if item != []}
    if isinstance(value, list):
        return [without_empty_lists(item) for item in value]
    return value


def _copy_for_models(chart_dir: Path, copy: Path, values: dict[str, Any]) -> None:
    """The chart with the release's values as its defaults: a family that the release took away is away."""
    shutil.copytree(chart_dir, copy)
    for template in (copy / "templates").iterdir():
        if template.name != "opt" and not template.name.startswith("_"):
            shutil.rmtree(template) if template.is_dir() else template.unlink()
    defaults = yaml.safe_load((copy / "values.yaml").read_text())
    (copy / "values.yaml").write_text(json.dumps({**defaults, **values, "models": []}))
