"""The limits of this process's control groups: memory, CPUs, processes.

A limit holds for a group and for all groups below it, so the least limit of the process's own group
and of all above it counts. /proc/self tells where the tree of groups is mounted; containers see
only a part of it. `None` means that there is no limit, or that the system does not tell it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

Number = TypeVar("Number", int, float)

_PROC = Path("/proc/self")
_UNLIMITED = 1 << 62  # v1 writes the largest number of whole pages where there is no limit


def quota(proc: Path = _PROC) -> float | None:
    """How many CPUs the groups allow."""
    return least(group.quota() for group in _groups("cpu", proc))


def memory(proc: Path = _PROC) -> int | None:
    """How many bytes the groups allow."""
    return least(group.memory() for group in _groups("memory", proc))


def free_memory(proc: Path = _PROC) -> int | None:
    """How many bytes are left of what the groups allow."""
    return least(group.free_memory() for group in _groups("memory", proc))


def processes(proc: Path = _PROC) -> int | None:
    """How many threads and processes the groups allow."""
    return least(group.processes() for group in _groups("pids", proc))


def least(limits: Iterable[Number | None]) -> Number | None:
    """The least of those limits that there are."""
    return min((limit for limit in limits if limit is not None), default=None)


class _Group:
    """A group of version 1 or 2: both are looked for, and its folder has the files of one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def quota(self) -> float | None:
        allowed, period = self._number("cpu.cfs_quota_us"), self._number("cpu.cfs_period_us")
        words = self._words("cpu.max")
        if len(words) == 2:
            allowed, period = map(_decimal, words)
        return allowed / period if allowed and period else None

    def memory(self) -> int | None:
        return least(
            limit if limit is None or limit < _UNLIMITED else None
            for limit in (
                self._number("memory.max"),
                self._number("memory.high"),  # beyond it the kernel slows the group down
                self._number("memory.limit_in_bytes"),
                # v1: the least of all groups above, also of those that are not visible here.
                self._statistic("hierarchical_memory_limit"),
            )
        )

    def processes(self) -> int | None:
        return self._number("pids.max")

    def free_memory(self) -> int | None:
        limit = self.memory()
        used = least((self._number("memory.current"), self._number("memory.usage_in_bytes")))
        if limit is None or used is None:
            return limit
        # Pages of files that were not read lately count as used, but can be dropped at once.
        names = "total_inactive_file", "inactive_file"
        idle = next((n for name in names if (n := self._statistic(name)) is not None), 0)
        return max(0, limit - used + idle)

    def _number(self, file: str) -> int | None:
        words = self._words(file)
        return _decimal(words[0]) if words else None

    def _statistic(self, name: str) -> int | None:
        words = self._words("memory.stat")
        with suppress(ValueError, IndexError):
            return _decimal(words[words.index(name) + 1])
        return None

    def _words(self, file: str) -> list[str]:
        try:
            return (self._folder / file).read_text().split()
        except (OSError, ValueError):
            return []


class _Mount(NamedTuple):
    """A part of a tree of groups: all below `root`, which is visible at `point`."""

    root: PurePosixPath
    point: Path

    def groups(self, path: PurePosixPath, pid: int) -> list[Path]:
        """The folders of a process's group, which is at `path` in the tree, and of those above."""
        if path.is_relative_to(self.root):
            folder = self.point / path.relative_to(self.root)
        elif ".." in self.root.parts:
            # `root` lies outside of this process's namespace, so the path from it is unknown.
            unknown = self.root.parts.count("..")
            found = _holder(self.point, "/".join(["*"] * unknown + list(path.parts[1:])), pid)
            folder = found or self.point
        else:
            return []
        if ".." in folder.relative_to(self.point).parts or not folder.is_dir():
            folder = self.point  # the group is gone, or this is the /proc of others
        return [folder, *folder.parents[: len(folder.relative_to(self.point).parts)]]


def _groups(controller: str, proc: Path) -> Iterator[_Group]:
    """The groups of this process for one controller: its own, then those above it."""
    try:
        listing = (proc / "cgroup").read_text(errors="surrogateescape").splitlines()
        mounts = list(_mounts(controller, proc / "mountinfo"))
    except OSError:
        return
    for line in listing:
        number, controllers, path = line.split(":", 2)
        if controllers == "" and number == "0":
            version = 2
        elif controller in controllers.split(","):
            version = 1
        else:
            continue
        for kind, mount in mounts:
            if kind == version:
                yield from map(_Group, mount.groups(PurePosixPath(path), os.getpid()))


def _mounts(controller: str, listing: Path) -> Iterator[tuple[int, _Mount]]:
    """Versions and mounts of the trees: those of version 2, and of version 1 for a controller."""
    for line in listing.read_text(errors="surrogateescape").splitlines():
        place, _, what = line.partition(" - ")
        kind, _, options = what.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and controller in options.split(",")):
            root, point = map(_unescaped, place.split(" ")[3:5])
            yield 2 if kind == "cgroup2" else 1, _Mount(PurePosixPath(root), Path(point))


@cache  # it may have to look into every group of the machine
def _holder(point: Path, pattern: str, pid: int) -> Path | None:
    """The folder of the group that holds a process."""
    for folder in point.glob(pattern):
        with suppress(OSError):
            if str(pid) in (folder / "cgroup.procs").read_text().split():
                return folder
    return None


def _unescaped(path: str) -> str:
    """A path of mountinfo, where spaces and the like stand as their octal numbers."""
    return re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), path)


def _decimal(word: str) -> int | None:
    return int(word) if word.isdecimal() else None
