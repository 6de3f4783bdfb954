"""How much memory this process and all below it hold."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .. import MissingExtra
from .._base.optional import need

_PROC = Path("/proc")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def held() -> tuple[str, float] | None:
    """MiB of this process and all below it, and how they are counted.

    "PSS" counts a page that several processes share once, "RSS" once for each of them.
    """
    try:
        return "PSS", sum(map(_proportional, family(os.getpid()))) / 1024
    except OSError:
        pass
    try:
        psutil = need("psutil", extra="bench")
    except MissingExtra:
        return None
    me = psutil.Process()
    processes = [me, *me.children(recursive=True)]
    return "RSS", sum(process.memory_info().rss for process in processes) / (1 << 20)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in (_PROC / str(pid) / "task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:  # a thread that has just ended
            continue
        for child in children:
            found += family(int(child))
    return found


def _proportional(pid: int) -> int:
    try:
        rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
    except (ProcessLookupError, FileNotFoundError):
        if pid == os.getpid():
            raise
        return 0
    match = _PSS.search(rollup)
    return int(match[1]) if match else 0
