"""The kernels as they are built for this machine; built first if need be."""

from __future__ import annotations

import shutil

import pytest
from openaisle_opt import kernels
from openaisle_opt.kernels import build


@pytest.fixture(scope="session", autouse=True)
def _built() -> None:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler on this machine")
    assert build.main() == 0
    kernels.available.cache_clear()
    if not kernels.available():
        pytest.skip("this CPU cannot run the kernels")
