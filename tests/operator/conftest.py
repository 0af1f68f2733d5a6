"""What the operator's tests share: releases as the chart describes them, and a renderer of their models."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from openaisle_operator.release import Release, load_release
from openaisle_operator.rendering import Renderer

from tests.chart.conftest import Objects, chart, helm, render, template

__all__ = ["chart", "helm", "render", "template"]

KUBE_VERSION = "v1.34.0"


@pytest.fixture(scope="session")
def descriptions() -> dict[str, str]:
    """What the chart writes for the operator, by the values as JSON; most tests want the same."""
    return {}


@pytest.fixture
def release(
    render: Callable[..., Objects], tmp_path: pathlib.Path, descriptions: dict[str, str]
) -> Callable[..., Release]:
    """release(values) -> the release that the operator of a chart with these values reads."""

    def make(values: dict[str, Any] | None = None) -> Release:
        values = {"models": [], **(values or {})}
        values["operator"] = {**values.get("operator", {}), "enabled": True}
        key = json.dumps(values, sort_keys=True)
        if key not in descriptions:
            (config,) = (
                item for name, item in render(values).of("ConfigMap").items() if name.endswith("-operator")
            )
            descriptions[key] = config["data"]["release.yaml"]
        (tmp_path / "release.yaml").write_text(descriptions[key])
        return load_release("openaisle", "lab", tmp_path)

    return make


@pytest.fixture
def renderer(
    release: Callable[..., Release], helm: str, chart: pathlib.Path, tmp_path: pathlib.Path
) -> Callable[..., Renderer]:
    """renderer(values) -> what renders models as in a release with these values."""

    def make(values: dict[str, Any] | None = None) -> Renderer:
        return Renderer(helm, chart, release(values), KUBE_VERSION, tmp_path / "work")

    return make


def opt_model(name: str = "m", age: int = 0, **spec: Any) -> dict[str, Any]:
    """An OPTModel as the API server has it; a larger age is an older one."""
    metadata = {
        "name": name,
        "namespace": "lab",
        "uid": f"uid-{name}",
        "generation": 1,
        "creationTimestamp": f"2026-01-01T00:00:{59 - age:02}Z",
    }
    return {"apiVersion": "openaisle.io/v1alpha1", "kind": "OPTModel", "metadata": metadata, "spec": spec}


def read_values(path: pathlib.Path) -> dict[str, Any]:
    """The values in a file."""
    values: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    return values
