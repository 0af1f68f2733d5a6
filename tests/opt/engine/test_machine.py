"""A container's limits count, not the size of the machine under it."""

from __future__ import annotations

import os

import pytest
from openaisle_opt import machine

GIB = 1024**3


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("-1 100000", None)]
)
def test_cores_are_those_of_the_quota_and_the_affinity(quota, cores, tmp_path):
    (tmp_path / "cpu.max").write_text(quota)
    assert machine.usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))


def test_without_cgroups_cores_are_those_of_the_affinity(tmp_path):
    assert machine.usable_cores(tmp_path / "none") == len(os.sched_getaffinity(0))


@pytest.fixture
def meminfo(tmp_path):
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: {64 * GIB // 1024} kB\nMemAvailable: {32 * GIB // 1024} kB\n")
    return path


@pytest.mark.parametrize(
    ("limit", "usage", "inactive", "expected"),
    [
        ("max", 5 * GIB, 0, 32 * GIB),
        (4 * GIB, 1 * GIB, 0, 3 * GIB),
        (4 * GIB, 3 * GIB, 2 * GIB, 3 * GIB),
        (64 * GIB, 1 * GIB, 0, 32 * GIB),
        (1 * GIB, 2 * GIB, 0, 0),
    ],
)
def test_memory_is_what_the_cgroup_leaves(limit, usage, inactive, expected, tmp_path, meminfo):
    (tmp_path / "memory.max").write_text(str(limit))
    (tmp_path / "memory.current").write_text(str(usage))
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {inactive}\n")
    assert machine.available_memory_bytes(tmp_path, meminfo) == expected


def test_the_first_version_of_cgroups_counts_too(tmp_path, meminfo):
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(2 * GIB))
    (folder / "memory.usage_in_bytes").write_text(str(GIB))
    assert machine.available_memory_bytes(tmp_path, meminfo) == GIB
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert machine.available_memory_bytes(tmp_path, meminfo) == 32 * GIB
