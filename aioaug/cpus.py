"""How many workers this process may run at once."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .arguments import whole

_CGROUP = Path("/sys/fs/cgroup")


def affinity() -> int:
    """The number of logical CPUs that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def quota(root: Path = _CGROUP, listing: Path = Path("/proc/self/cgroup")) -> float | None:
    """The CPU quota of this process's control group in CPUs, `None` where there is none.

    Reads `cpu.max` of cgroup v2 for the group and all groups above it (the tightest counts), or
    `cpu.cfs_quota_us` of v1.
    """
    found = [_v2(group / "cpu.max") for group in _groups(root, listing)]
    found.append(_v1(root / "cpu"))
    return min((limit for limit in found if limit is not None), default=None)


def available() -> int:
    """The default number of workers: CPU affinity or quota, whichever is less, at least 1."""
    return affinity() if _QUOTA is None else max(1, min(affinity(), math.ceil(_QUOTA)))


def worker_count(processes: int | None) -> int:
    """Resolve `processes` as `imgaug.multicore.Pool` means it.

    `None` is `available()`; a negative number is that many fewer, at least 1; 0 is a `ValueError`.
    """
    if processes is None:
        return available()
    number = whole("processes", processes)
    if number == 0:
        raise ValueError("processes must not be 0; use None for all cores, -1 for all but one")
    return number if number > 0 else max(1, available() + number)


def _groups(root: Path, listing: Path) -> list[Path]:
    try:
        lines = listing.read_text().splitlines()
    except OSError:
        return [root]
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    group = root / path.strip("/")
    return [group, *(above for above in group.parents if above.is_relative_to(root))]


def _v2(file: Path) -> float | None:
    try:
        allowed, period = file.read_text().split()
        return None if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        return None


def _v1(folder: Path) -> float | None:
    try:
        allowed = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return allowed / period if allowed > 0 and period > 0 else None


# Read once, here: pools are built inside event loops, where a file must not be read.
_QUOTA = quota()
