"""Renders the chart with the helm of $HELM or on PATH, and gives its objects as plain dictionaries."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

Object = dict[str, Any]


class Refused(Exception):
    """helm ended with an error; the text is what it printed."""


class Objects:
    """The rendered objects, found by kind and name."""

    def __init__(self, manifest: str) -> None:
        self.all: list[Object] = [item for item in yaml.safe_load_all(manifest) if item]

    def of(self, kind: str) -> dict[str, Object]:
        return {item["metadata"]["name"]: item for item in self.all if item["kind"] == kind}

    def one(self, kind: str, name: str) -> Object:
        return self.of(kind)[name]

    def pod(self, name: str) -> Object:
        """The pod template of the Deployment or StatefulSet with this name, or the bare pod."""
        for item in self.all:
            if item["metadata"]["name"] == name and item["kind"] in ("Deployment", "StatefulSet"):
                template: Object = item["spec"]["template"]
                return template
        return self.one("Pod", name)

    def container(self, name: str) -> Object:
        container: Object = self.pod(name)["spec"]["containers"][0]
        return container


def find_helm() -> str:
    helm = os.environ.get("HELM") or shutil.which("helm")
    if not helm:
        pytest.fail("the chart's tests need helm on PATH or in HELM", pytrace=False)
    return helm


@pytest.fixture(scope="session")
def helm() -> str:
    return find_helm()


@pytest.fixture
def chart(root: pathlib.Path) -> pathlib.Path:
    return root / "charts" / "openaisle"


@pytest.fixture
def template(helm: str, chart: pathlib.Path, tmp_path: pathlib.Path) -> Callable[..., str]:
    """template(values, *flags, chart=..) -> the manifest; raises Refused with helm's message."""

    def run(
        values: Object | None = None,
        *flags: str,
        chart: pathlib.Path = chart,
        helm: str = helm,
        release: str = "openaisle",
    ) -> str:
        file = tmp_path / "values.yaml"
        # As JSON, since helm takes some texts for numbers that Python writes without quotes, such as 1e3.
        file.write_text(json.dumps(values or {}))
        command = [helm, "template", release, str(chart), "--namespace=lab", f"--values={file}", *flags]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if result.returncode:
            raise Refused(result.stderr)
        return result.stdout

    return run


@pytest.fixture
def render(template: Callable[..., str]) -> Callable[..., Objects]:
    """render(values, *flags) -> Objects."""
    return lambda *arguments, **options: Objects(template(*arguments, **options))


@pytest.fixture
def notes(template: Callable[..., str], chart: pathlib.Path, tmp_path: pathlib.Path) -> Callable[..., str]:
    """notes(values, *flags) -> what helm prints after an install."""

    def run(values: Object | None = None, *flags: str) -> str:
        copy = tmp_path / "chart"
        shutil.copytree(chart, copy, dirs_exist_ok=True)
        include = '{{ include "openaisle/templates/NOTES.txt" . | toJson }}'
        (copy / "templates" / "notes.yaml").write_text(
            f"kind: Notes\nmetadata: {{name: notes}}\ntext: {include}\n"
        )
        manifest = template(values, "--show-only=templates/notes.yaml", *flags, chart=copy)
        text: str = yaml.safe_load(manifest)["text"]
        return text

    return run


@pytest.fixture
def refusal(template: Callable[..., str]) -> Callable[..., str]:
    """refusal(values, *flags) -> the message with which the values are refused."""

    def run(values: Object, *flags: str) -> str:
        with pytest.raises(Refused) as refused:
            template(values, *flags)
        return str(refused.value)

    return run


def model(**settings: Any) -> Object:
    """Values with one model, called m."""
    return {"models": [{"name": "m", **settings}]}
