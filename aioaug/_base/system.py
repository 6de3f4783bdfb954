"""What this process may use of the machine: CPUs and memory."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

from . import cgroups
from .arguments import whole

_PROC = Path("/proc")
# What is assumed where the system does not tell.
_MEMORY = 4 << 30


def affinity() -> int:
    """The number of logical CPUs that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def available() -> int:
    """The default number of workers: CPU affinity or quota, whichever is less, at least 1."""
    return affinity() if _QUOTA is None else max(1, min(affinity(), math.ceil(_QUOTA)))


def memory(proc: Path = _PROC) -> int:
    """The memory in bytes that this process may use: the least of all limits that hold for it.

    They are the machine's memory, the limits of its control group and of those above, and what
    `ulimit` set. Limits change while a program runs, so they are read anew each time.
    """
    limits = [cgroups.memory(proc / "self"), _rlimit("RLIMIT_AS"), _rlimit("RLIMIT_DATA")]
    with suppress(AttributeError, OSError, ValueError):  # not every system tells
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    known = cgroups.least(limits)
    return _MEMORY if known is None else known


def process_limit() -> int | None:
    """How many threads and processes the control group may have; `None` where there is no limit."""
    return _PROCESSES


def free_memory(proc: Path = _PROC) -> int:
    """The memory in bytes that is free now, the least that is left of any limit of `memory`.

    Where the system does not tell, it is all of the memory.
    """
    left = [cgroups.free_memory(proc / "self"), _available(proc / "meminfo")]
    sizes = _pages(proc / "self" / "statm")
    for name, number in ("RLIMIT_AS", 0), ("RLIMIT_DATA", 5):
        limit = _rlimit(name)
        if limit is not None and len(sizes) > number:
            left.append(max(0, limit - sizes[number]))
    known = cgroups.least(left)
    return memory(proc) if known is None else known


def own_memory(statm: Path = _PROC / "self" / "statm") -> int:
    """The memory in bytes that this process shares with no other; 0 where the system does not tell.

    Pages of a file or of shared memory are not counted.
    """
    _, resident, shared, *_ = (*_pages(statm), 0, 0, 0)
    return resident - shared


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


def _pages(statm: Path) -> list[int]:
    """The sizes of this process in bytes, in the order of proc(5); empty where there are none."""
    with suppress(OSError, ValueError, AttributeError):
        return [int(size) * os.sysconf("SC_PAGE_SIZE") for size in statm.read_text().split()]
    return []


def _available(meminfo: Path) -> int | None:
    with suppress(OSError, ValueError, StopIteration):
        lines = meminfo.read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(kilobytes) << 10
    return None


def _rlimit(name: str) -> int | None:
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else soft


# Read once, here: pools are built inside event loops, where a file must not be read.
_QUOTA = cgroups.quota()
_PROCESSES = cgroups.processes()
