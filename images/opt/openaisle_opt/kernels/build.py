"""Compiles the kernels into this package: `python -m openaisle_opt.kernels.build`.

Takes about ten seconds, and does nothing when they are already built. Without a C++ compiler (GCC 12
or Clang 12, or newer; $CXX, else g++ or clang++) or on another processor than x86-64 it says so and
ends well: the engine then uses torch's own operations.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from .library import COMMON_FLAGS, PACKAGE, SOURCES, UNITS, library_path

_TORCH = Path(torch.__file__).parent


class BuildError(Exception):
    """The compiler failed; the message says how."""


def main() -> int:
    """Build, and say in one line what came of it."""
    target = library_path()
    if target.exists():
        print(f"The kernels are built: {target.name}")
        return 0
    reason = _why_not()
    if reason:
        print(f"The kernels are not built, torch's own operations will be used: {reason}.")
        return 0
    try:
        build(target)
    except BuildError as error:
        print(f"The kernels cannot be built: {error}", file=sys.stderr)
        return 1
    for old in PACKAGE.glob("_C.*.so"):
        if old != target:
            old.unlink()
    print(f"The kernels are built: {target.name}")
    return 0


def build(target: Path) -> None:
    """Compile all files, a few at a time, and link them to `target`, which appears whole or not at all.

    Raises:
        BuildError: the compiler or the linker failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        objects = [f"{folder}/{index}.o" for index in range(len(UNITS))]

        def compile_unit(index: int) -> None:
            source, flags = UNITS[index]
            include = f"-I{_TORCH / 'include'}"
            _run(*COMMON_FLAGS, *flags, include, "-c", str(SOURCES / source), "-o", objects[index])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_unit, range(len(UNITS))))
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            _run(
                "-shared",
                *objects,
                "-o",
                str(partial),
                f"-L{_TORCH / 'lib'}",
                "-ltorch_cpu",
                "-lc10",
                "-pthread",
            )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def _why_not() -> str | None:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"they are written for x86-64, and this is {platform.machine()}"
    if _compiler() is None:
        return "there is no C++ compiler (install g++, or name one in CXX)"
    if not (_TORCH / "include/torch/csrc/stable/ops.h").exists():
        return f"torch {torch.__version__} has no stable C++ interface (2.10 and newer have it)"
    return None


def _compiler() -> str | None:
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    return next(filter(None, map(shutil.which, names)), None)


def _run(*arguments: str) -> None:
    compiler = _compiler()
    assert compiler is not None
    result = subprocess.run([compiler, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "error" in line]
        raise BuildError(errors[0] if errors else f"{compiler} ended with {result.returncode}")


if __name__ == "__main__":
    sys.exit(main())
