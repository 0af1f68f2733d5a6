"""What this process may use of its machine: a container's limits count, not the host's size."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
_V1_UNLIMITED = 1 << 60
"""cgroup v1 says "no limit" with a number near 2**63."""


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores that the affinity mask and the CPU quota leave, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _words(cgroup / "cpu.max") or [
        *_words(cgroup / "cpu/cpu.cfs_quota_us"),
        *_words(cgroup / "cpu/cpu.cfs_period_us"),
    ]
    if len(quota) == 2 and quota[0].isdigit():  # else "max" or -1: no quota
        cores = min(cores, int(quota[0]) // int(quota[1]))
    return max(1, cores)


def available_memory_bytes(cgroup: Path = CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Memory that can be had without swapping, within the cgroup's limit."""
    available = 0
    for line in meminfo.read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            available = int(rest.split()[0]) * 1024
    for limit_name, usage_name, stat_name in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        limit, usage = _words(cgroup / limit_name), _words(cgroup / usage_name)
        if limit and usage and limit[0].isdigit() and int(limit[0]) < _V1_UNLIMITED:
            # Pages of files that were read count as used, but are given up when memory is short.
            used = int(usage[0]) - _inactive_file_bytes(cgroup / stat_name)
            available = min(available, int(limit[0]) - used)
    return max(0, available)


def _inactive_file_bytes(stat: Path) -> int:
    words = _words(stat)
    values = dict(zip(words[::2], words[1::2], strict=True))
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def _words(path: Path) -> list[str]:
    """The words of a small file; none if it cannot be read."""
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
