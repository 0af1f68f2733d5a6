"""The table of the image's variants agrees with the packages that are pinned, and with the chart.

Whether a variant's packages are there and go together is what hack/check-variants finds out from the indexes.
"""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
import yaml

Row = dict[str, str]


@pytest.fixture(scope="module")
def rows(root: pathlib.Path) -> dict[str, Row]:
    table = (root / "images" / "opt" / "variants").read_text()
    names = ("variant", "torch", "index", "python", "runs_on")
    lines = [line for line in table.splitlines() if line and not line.startswith("#")]
    rows = [dict(zip(names, line.split(maxsplit=4), strict=True)) for line in lines]
    assert len({row["variant"] for row in rows}) == len(rows)
    return {row["variant"]: row for row in rows}


def test_every_gpu_family_asks_for_variants_that_there_are(rows: dict[str, Row], root: pathlib.Path) -> None:
    values = yaml.safe_load((root / "charts" / "openaisle" / "values.yaml").read_text())
    asked = {name for family in values["gpuFamilies"].values() for name in family["imageVariants"]}
    assert asked == set(rows)


def test_all_but_the_old_one_have_the_torch_that_is_tested(rows: dict[str, Row], root: pathlib.Path) -> None:
    project = (root / "images" / "opt" / "pyproject.toml").read_text()
    pinned = re.search(r'"torch==([^"]*)"', project)
    assert pinned
    assert {row["torch"] for name, row in rows.items() if name != "kepler"} == {pinned[1]}
    assert rows["kepler"]["torch"] == "1.12.1", "later versions have no kernels for compute capability 3.7"


def test_a_python_that_is_built_has_a_checksum(rows: dict[str, Row], root: pathlib.Path) -> None:
    built = {row["python"] for row in rows.values()} - {"debian"}
    assert built == {"3.10.19"}, "PYTHON_SHA256 in the Dockerfile is that of one version"
    dockerfile = (root / "images" / "opt" / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_SHA256=[0-9a-f]{64}$", dockerfile, re.MULTILINE)


def test_the_table_is_shown_and_a_wrong_variant_named(rows: dict[str, Row], root: pathlib.Path) -> None:
    program = root / "hack" / "build-images"
    shown = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["variant", *rows]
    wrong = subprocess.run(
        [program, "opt"], env={"VARIANT": "k80", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert wrong.returncode == 1
    assert wrong.stderr == (
        'hack/build-images: there is no variant "k80"; the variants are cpu, cu126, cu130, rocm, kepler\n'
    )
