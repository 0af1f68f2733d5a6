"""hack/build-images and hack/image-sizes, with a docker that builds nothing."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

DOCKER = """#!/bin/sh
case "$1" in
build) echo "$@" >> "$CALLS" ;;
history) printf '%s\\n' $SIZES 0B 100MB ;;
esac
"""


@pytest.fixture
def calls(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "calls"


@pytest.fixture
def run(root: pathlib.Path, tmp_path: pathlib.Path, calls: pathlib.Path) -> Run:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)

    def run(program: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "SIZES": "5MB",
        } | settings
        command = [root / "hack" / program, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture
def version(root: pathlib.Path) -> str:
    package = (root / "images" / "opt" / "openaisle_opt" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.*)"$', package, re.MULTILINE)
    assert found
    return found[1]


def test_each_image_is_named_by_its_version_and_is_the_latest(
    run: Run, calls: pathlib.Path, root: pathlib.Path, version: str
) -> None:
    result = run("build-images")
    assert (result.returncode, result.stderr) == (0, "")
    lines = calls.read_text().splitlines()
    assert len(lines) == 4
    for line, part in zip(lines, ("opt", "adapter", "demo", "operator"), strict=True):
        name = f"docker.io/openaisle/{part}"
        assert line.startswith(f"build -t {name}:{version} ")
        assert f" -t {name}:latest " in line
        assert line.endswith(f"{root}/images/{part}")
        assert f"{name}:{version} adds 5 MB to its base (at most " in result.stdout


def test_a_variant_is_named_in_the_tag_and_is_not_the_latest(
    run: Run, calls: pathlib.Path, root: pathlib.Path, version: str
) -> None:
    result = run("build-images", "opt", VARIANT="kepler", REGISTRY="registry.example.org", TORCH_INDEX="")
    assert (result.returncode, result.stderr) == (0, "")
    assert calls.read_text().splitlines() == [
        f"build -t registry.example.org/openaisle/opt:{version}-kepler "
        f"--build-arg VARIANT=kepler --build-arg TORCH_INDEX= {root}/images/opt"
    ]


@pytest.mark.parametrize(("image", "most"), [("opt", 1000), ("adapter", 90), ("demo", 15), ("operator", 150)])
def test_an_image_that_outgrows_its_limit_fails_the_build(run: Run, image: str, most: int) -> None:
    name = f"docker.io/openaisle/{image}:1"
    enough = run("image-sizes", name, SIZES=f"1kB {most - 1}.4MB 1MB")
    assert (enough.returncode, enough.stdout) == (0, f"{name} adds {most} MB to its base (at most {most})\n")
    much = run("build-images", image, SIZES=f"{most}MB 0.6MB")
    assert much.returncode == 1
    assert " is too large; see what its packages take with: du " in much.stderr


def test_a_variant_for_gpus_may_be_large(run: Run) -> None:
    name = "docker.io/openaisle/opt:1-cu126"
    result = run("image-sizes", name, SIZES="4.2GB")
    assert (result.returncode, result.stdout) == (0, f"{name} adds 4200 MB to its base\n")
