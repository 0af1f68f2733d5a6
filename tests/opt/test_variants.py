"""The table of the image's variants agrees with the packages that are pinned, and with the chart.

Whether a variant's packages are there and go together is what hack/check-variants finds out from the indexes;
here it is asked of indexes that lack something.
"""

from __future__ import annotations

import functools
import http.server
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import yaml

Row = dict[str, str]
Check = Callable[[str], subprocess.CompletedProcess[str]]
TORCHES = {
    "cpu": [
        "torch-{}+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-{}+cpu-cp311-cp311-manylinux_2_28_aarch64.whl",
    ],
    "cu126": ["torch-{}+cu126-cp311-cp311-manylinux_2_28_x86_64.whl"],
    "cu130": ["torch-{}+cu130-cp311-cp311-manylinux_2_28_x86_64.whl"],
    "rocm7.2": ["torch-{}+rocm7.2-cp311-cp311-manylinux_2_28_x86_64.whl"],
    "cu113": ["torch-{}+cu113-cp310-cp310-linux_x86_64.whl"],
}
"""What PyTorch's index has, by variant."""


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
    assert rows["kepler"]["torch"] == "1.12.1", "later ones are built for a newer CUDA than driver 470 has"


def test_a_python_that_is_built_has_a_checksum(rows: dict[str, Row], root: pathlib.Path) -> None:
    built = {row["python"] for row in rows.values()} - {"debian"}
    assert built == {"3.10.19"}, "PYTHON_SHA256 in the Dockerfile is that of one version"
    dockerfile = (root / "images" / "opt" / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_SHA256=[0-9a-f]{64}$", dockerfile, re.MULTILINE)


def test_the_table_is_shown_and_what_is_wrong_is_named_where_nothing_could_build(
    rows: dict[str, Row], root: pathlib.Path
) -> None:
    def build(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program = [root / "hack" / "build-images", *arguments]
        environment = {"PATH": "/usr/bin:/bin", "BUILDER": "no-such-builder"} | variables
        return subprocess.run(program, env=environment, capture_output=True, text=True)

    shown = build("--list").stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["variant", *rows]
    for wrong, sentence in (
        (build("opt", VARIANT="k80"), 'there is no variant "k80"; the variants are ' + ", ".join(rows)),
        (build("opt", "page"), 'there is no part "page"; the parts are opt, adapter, demo and operator'),
        (build("opt"), "neither docker nor podman answers; install one, or start its engine"),
    ):
        assert wrong.returncode == 1
        assert wrong.stderr == f"hack/build-images: {sentence}\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(rows: dict[str, Row], tmp_path: pathlib.Path) -> Iterator[str]:
    """PyTorch's, of files that can be taken away; its address."""
    for row in rows.values():
        page = tmp_path / "whl" / row["index"] / "torch" / "index.html"
        page.parent.mkdir(parents=True)
        names = [name.format(row["torch"]) for name in TORCHES[row["index"]]]
        page.write_text(
            "".join(f'<a href="/whl/{name.replace("+", "%2B")}#sha256=0">{name}</a>' for name in names)
        )
    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/whl"
        server.shutdown()
        thread.join()


@pytest.fixture
def wheels(root: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with a wheel of each pinned package, which is where pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    project = (root / "images" / "opt" / "pyproject.toml").read_text()
    for name, version in re.findall(r'^    "(\w+)==([^"]*)",$', project, re.MULTILINE):
        tags = ["cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_28_aarch64"]
        for tag in tags if name == "torch" else ["py3-none-any"]:
            write_wheel(folder, name, version, tag)
    write_wheel(folder, "torch", "1.12.1", "cp310-cp310-manylinux1_x86_64")
    return folder


def write_wheel(folder: pathlib.Path, name: str, version: str, tag: str) -> None:
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as wheel:
        wheel.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(f"{information}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{information}/RECORD", "")


@pytest.fixture
def settings(wheels: pathlib.Path) -> dict[str, str]:
    """Of pip, which then knows no other sources."""
    return {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.fixture
def program(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("check_variants", str(root / "hack" / "check-variants"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, loader.name, module)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


@pytest.fixture
def check(root: pathlib.Path, settings: dict[str, str]) -> Check:
    """Runs the whole of it."""

    def run(torch_index: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, root / "hack" / "check-variants"],
            env=os.environ | settings | {"TORCH_INDEX": torch_index},
            capture_output=True,
            text=True,
        )

    return run


def test_variants_whose_packages_are_all_there_pass(check: Check, index: str, rows: dict[str, Row]) -> None:
    result = check(index)
    assert (result.returncode, result.stderr) == (0, "")
    for name, row in rows.items():
        assert f"{name}: torch {row['torch']} for Python " in result.stdout
        assert f" is on {index}/{row['index']}/torch/\n" in result.stdout


@pytest.mark.parametrize(
    "wheel",
    [
        "torch-2.12.0+cu126-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cu126-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cu126-cp311-cp311-manylinux_2_39_x86_64.whl",
        "torch-2.13.0+cu126-cp311-cp311-manylinux_2_28_aarch64.whl",
        "torch-2.13.0+cu126-cp311-cp311-win_amd64.whl",
    ],
)
def test_a_wheel_of_torch_for_something_else_is_noticed(
    program: ModuleType, index: str, tmp_path: pathlib.Path, wheel: str
) -> None:
    program.INDEX = index
    variant = program.Variant("cu126", "2.13.0", "cu126", "debian", "NVIDIA")
    page = tmp_path / "whl" / "cu126" / "torch" / "index.html"
    page.write_text("torch-2.13.0+cu126-cp311-cp311-manylinux_2_28_x86_64.whl")
    assert program.check_torch(variant) == []
    page.write_text(wheel)
    assert program.check_torch(variant) == [
        f"cu126: torch 2.13.0 for Python 3.11 on x86_64 isn't on {index}/cu126/torch/"
    ]


def test_a_package_that_is_missing_is_noticed(check: Check, index: str, wheels: pathlib.Path) -> None:
    next(wheels.glob("safetensors-*")).unlink()
    result = check(index)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 3
    for target in ("3.10 on x86_64", "3.11 on x86_64", "3.11 on aarch64"):
        assert f"the packages don't go together for Python {target}: ERROR: " in result.stderr
    assert "No matching distribution found for safetensors==" in result.stderr


@pytest.mark.parametrize(
    ("address", "note"),
    [
        (
            "http://127.0.0.1:9/whl",
            "http://127.0.0.1:9/whl/cu113/torch/ isn't reached from here (<urlopen error ",
        ),
        ("", "as TORCH_INDEX is empty"),
    ],
)
def test_without_pytorch_s_index_pip_s_usual_sources_are_asked(
    program: ModuleType,
    settings: dict[str, str],
    wheels: pathlib.Path,
    address: str,
    note: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    program.INDEX = address
    variant = program.Variant("kepler", "1.12.1", "cu113", "3.10.19", "NVIDIA")
    assert program.check_torch(variant) == []
    what = "kepler: torch 1.12.1 for Python 3.10 on x86_64"
    assert capsys.readouterr().out.startswith(f"{what} is in pip's usual sources; {note}")

    next(wheels.glob("torch-1.12.1-*")).unlink()
    [problem] = program.check_torch(variant)
    assert problem.startswith(f"{what} isn't in pip's usual sources; {note}")


def test_the_python_that_is_checked_is_the_base_image_s(program: ModuleType, root: pathlib.Path) -> None:
    dockerfile = (root / "images" / "opt" / "Dockerfile").read_text()
    assert set(re.findall("^FROM (\\S+)", dockerfile, re.MULTILINE)) == {"debian:bookworm-slim"}
    assert (program.DEBIAN_PYTHON, program.DEBIAN_GLIBC) == ("3.11", 36), "bookworm has 3.11 and 2.36"
