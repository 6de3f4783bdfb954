"""The system gives no thread, process or descriptor at one place of a run: each place in its turn.

What the pool does is right, or ends in the one error that says which limit was reached, in a
bounded time, and nothing is left behind. Each group runs in a program of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent / "support"
RUNS = 200  # no group has so many
BOUND = 20.0  # seconds for each of them, on the average

# One place fails, or all from it on. Both on both loops would take twice as long.
RUN_ON = [("asyncio", "all"), ("uvloop", "on")]
HERE = [
    "thread",
    "bare_thread",
    "program",
    "socketpair",
    "memfd_create",
    "mmap",
    "open",
    "epoll",
    "pidfd_open",
]
FAR = ["thread", "fork", "mmap", "open"]

# What can be done without.
REPLACEABLE = {"memfd_create", "mmap", "pidfd_open"}
# The fork server does not say why it could not do what it was asked for: it ends.
SILENT = {"fork", "open"}


def runs(where, function, loop, which, *deeds):
    """What each run came to, as the program tells, after it has ended by itself."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    folders = [SUPPORT / "faults_in_workers", SUPPORT, *filter(None, sys.path)]
    program = subprocess.run(
        [sys.executable, str(SUPPORT / "injected_faults.py"), where, function, loop, which, *deeds],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        timeout=RUNS * BOUND,
    )
    assert program.returncode == 0, program.stderr
    assert "never retrieved" not in program.stderr
    return [json.loads(line) for line in program.stdout.splitlines()]


def check(where, function, loop, which, *deeds):
    found = runs(where, function, loop, which, *deeds)
    clear = () if function in REPLACEABLE else ("LimitError: ",)
    if where == "workers" and function in SILENT:
        clear += ("WorkerDied: a worker process vanished while starting",)
    wrong = [run for run in found if run[3] or not (run[2] == "right" or run[2].startswith(clear))]
    assert wrong == []
    assert [run for run in found if run[1] == 0]  # the clean ones
    return [run[2] for run in found if run[1]]


def test_no_thread_at_one_place():
    first, *_ = check("here", "thread", "asyncio", "1,4,5,8", "stream")
    assert "can't start new thread" in first
    assert "RLIMIT_NPROC" in first


def test_nothing_to_start_a_worker_with():
    first, _ = check("here", "socketpair", "uvloop", "1,2", "terminated")
    assert "RLIMIT_NOFILE" in first


def test_no_loop_for_a_blocking_program():
    (ended,) = check("here", "epoll", "asyncio", "1", "blocked")
    assert "an event loop in a thread" in ended


def test_a_worker_that_gets_no_thread_says_so():
    (ended,) = check("workers", "thread", "asyncio", "1", "listed")
    assert ended.startswith("LimitError: a thread cannot be had")


def test_a_blocking_pool_that_cannot_start_keeps_no_loop():
    (ended,) = check("workers", "open", "asyncio", "1", "blocked")
    assert ended.startswith("LimitError: a worker process cannot be had")


@pytest.mark.slow
@pytest.mark.timeout(RUNS * BOUND)
@pytest.mark.parametrize(("loop", "which"), RUN_ON)
@pytest.mark.parametrize("function", HERE)
def test_at_every_place(function, loop, which):
    check("here", function, loop, which)


@pytest.mark.slow
@pytest.mark.timeout(RUNS * BOUND)
@pytest.mark.parametrize(("loop", "which"), RUN_ON)
@pytest.mark.parametrize("function", FAR)
def test_at_every_place_of_the_workers(function, loop, which):
    check("workers", function, loop, which)
