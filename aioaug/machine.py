"""What this process may use of the machine: CPUs and memory."""

from __future__ import annotations

import math
import os
from contextlib import suppress
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


def memory() -> int:
    """The memory in bytes that this process may use: the machine's or its control group's."""
    return _MEMORY


def process_limit() -> int | None:
    """How many threads and processes the control group may have; `None` where there is no limit."""
    return _PROCESSES


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """The memory in bytes that could be had now; where the system does not tell, all of it."""
    with suppress(OSError, ValueError, StopIteration):
        lines = meminfo.read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(kilobytes) << 10
    return _MEMORY


def own_memory(statm: Path = Path("/proc/self/statm")) -> int:
    """The memory in bytes that this process shares with no other; 0 where the system does not tell.

    Pages of a file or of shared memory are not counted.
    """
    with suppress(OSError, ValueError, AttributeError):
        _, resident, shared, *_ = map(int, statm.read_text().split())
        return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    return 0


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


def _memory(root: Path = _CGROUP, listing: Path = Path("/proc/self/cgroup")) -> int:
    limits = [_number(group / "memory.max") for group in _groups(root, listing)]
    limits.append(_number(root / "memory" / "memory.limit_in_bytes"))
    with suppress(AttributeError, OSError, ValueError):  # not every system tells
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((limit for limit in limits if limit is not None), default=4 << 30)


def _processes(root: Path = _CGROUP, listing: Path = Path("/proc/self/cgroup")) -> int | None:
    limits = [_number(group / "pids.max") for group in _groups(root, listing)]
    limits.append(_number(root / "pids" / "pids.max"))
    return min((limit for limit in limits if limit is not None), default=None)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


# Read once, here: pools are built inside event loops, where a file must not be read.
_QUOTA = quota()
_MEMORY = _memory()
_PROCESSES = _processes()
