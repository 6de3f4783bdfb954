"""The processes that are killed when the interpreter exits, which would wait for them."""

from __future__ import annotations

import os
from functools import cache
from typing import Protocol

from .._base.interrupts import call_at_exit, interrupts_ignored


class _Process(Protocol):
    """A process, as its owner keeps it."""

    def kill_for_good(self) -> None:
        """Kill it, if it runs, and start no other."""

    def wait(self) -> None:
        """Wait until it is gone, and the thread that waits for its end knows it."""


@cache
def killed_at_exit(pid: int) -> set[_Process]:
    """Set of the processes that are killed when the interpreter of this process exits.

    Their owners may be dropped before, but the threads of their executors are there.

    A program may end with a pool that nobody closed. Python then waits for the threads of all
    executors, which wait for their processes, which would wait for work.
    """
    processes: set[_Process] = set()

    def kill_all() -> None:
        if os.getpid() == pid:  # and not in a process that was forked from it
            left = tuple(processes)
            with interrupts_ignored():
                for process in left:
                    process.kill_for_good()
                for process in left:
                    process.wait()

    call_at_exit(kill_all)
    return processes
