"""What hack/run says when it cannot start."""

from __future__ import annotations

import pathlib
import shutil
import socket
import subprocess
import sys

import pytest


def run_stack(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "hack/stack.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_taken_port_is_named_with_the_option_that_helps(root):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run_stack(root, "--port", str(port))
    assert done.returncode == 1
    expected = (
        f"hack/run: port {port} cannot be used (Address already in use); choose another one with --port\n"
    )
    assert done.stderr == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "70000"], "--port must be between 1 and 65535, not 70000"),
        (["--api-key", ""], "--api-key must be printable ASCII without spaces, and not empty"),
        (["--api-key", "two words"], "--api-key must be printable ASCII without spaces, and not empty"),
    ],
)
def test_a_value_that_cannot_work_is_refused_in_one_sentence(root, arguments, sentence):
    done = run_stack(root, *arguments)
    assert (done.returncode, done.stderr) == (1, f"hack/run: {sentence}\n")


@pytest.mark.parametrize("argument", ["--port=70000", "--api-key=", "--nonsense"])
def test_a_mistake_is_told_before_any_package_is_installed(root, tmp_path, argument):
    (tmp_path / "hack").mkdir()
    for name in ("run", "venv", "stack.py"):
        shutil.copy(root / "hack" / name, tmp_path / "hack" / name)
    done = subprocess.run(
        [tmp_path / "hack/run", argument], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert argument.partition("=")[0] in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("script", ["images/opt/serve-opt.py", "images/adapter/serve-adapter.py"])
def test_a_python_without_the_packages_says_where_they_are(root, script):
    done = subprocess.run(
        # -S leaves the installed packages out.
        [sys.executable, "-S", root / script, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "this Python lacks the package" in done.stderr
    assert "hack/venv" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_option(root):
    done = subprocess.run(
        [str(root / "hack/run"), "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    for option in ("--port", "--model", "--api-key", "--no-nginx", "--check"):
        assert option in done.stdout
