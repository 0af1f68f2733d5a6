"""hack/compose.yaml says the same as the images and the chart, also where its comments are made settings."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest
import yaml


@pytest.fixture
def text(root: pathlib.Path) -> str:
    return (root / "hack" / "compose.yaml").read_text()


def services(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)["services"]


def test_the_images_are_of_this_version(text: str, root: pathlib.Path) -> None:
    package = (root / "images" / "opt" / "openaisle_opt" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.*)"$', package, re.MULTILINE)
    assert found
    for name, service in services(text).items():
        assert service["image"] == f"openaisle/{name}:{found[1]}"
        assert (root / "hack" / service["build"]["context"] / "Dockerfile").is_file()


def test_the_build_of_the_model_server_is_the_dockerfile_s_unless_it_is_named(
    text: str, root: pathlib.Path
) -> None:
    dockerfile = (root / "images" / "opt" / "Dockerfile").read_text()
    defaults = dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile, re.MULTILINE))
    assert services(text)["opt"]["build"]["args"] == {
        "VARIANT": f"${{VARIANT:-{defaults['VARIANT']}}}",
        "TORCH_INDEX": f"${{TORCH_INDEX-{defaults['TORCH_INDEX']}}}",
    }


def test_the_comments_for_gpus_are_settings_when_their_marks_are_taken_away(text: str) -> None:
    opt = services(re.sub(r"^( +)# ( *(?:- \S|\w+:(?: |$)))", r"\1\2", text, flags=re.MULTILINE))["opt"]
    assert opt["environment"] == ["HF_TOKEN", "NVIDIA_REQUIRE_CUDA=cuda>=11.0"]
    [device] = opt["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
