"""Where calls are made: one after another, in threads, in processes or on an event loop.

A result is what a call returned, or the exception it raised. Neither depends on the place, and
both come in the order of the items.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

from anyio.lowlevel import checkpoint

from .._aio.tasks import finish
from .._base import system
from .._base.results import Failure, Outcome, Success, attempt
from .._base.threads import DaemonExecutor
from ..errors import LimitError
from . import workers
from .calls import Call, Work, begin, perform

Found = dict[int, Outcome[Any]]

_NAMES = {
    "f": "f",
    "for": "f",
    "t": "t",
    "threads": "t",
    "nogil": "t",
    "m": "m",
    "mpc": "m",
    "a": "a",
    "async": "a",
}
# Threads mostly wait, for files or for each other's turn with the interpreter.
_THREADS_PER_CPU = 4


def check_target(target: Any) -> str:
    """The letter of a target; `ValueError` if there is no such target."""
    if not isinstance(target, str) or target not in _NAMES:
        raise ValueError(f"target must be 'for', 'threads', 'mpc' or 'async', got {target!r}")
    return _NAMES[target]


def run(work: Work) -> list[Any]:
    """Make the calls and wait for them."""
    target = "a" if work.task.is_async else work.target
    if not work.calls:
        found: Found = {}
    elif target == "f":
        found = dict(_in_line(work))
    elif target == "t":
        found = _in_threads(work)
    elif target == "m":
        found = workers.run(work)
    else:
        found = workers.call(_on_loop, work)
    return _results(work, found)


async def run_async(work: Work) -> list[Any]:
    """Make the calls while the event loop does other things, those of "for" between the calls.

    Cancelled, it drops what has not begun, cancels coroutines, and abandons the rest.
    """
    target = "a" if work.task.is_async else work.target
    if not work.calls:
        found: Found = {}
    elif target == "f":
        found = {}
        for position, outcome in _in_line(work):
            found[position] = outcome
            await checkpoint()
    elif target == "t":
        found = await _in_threads_async(work)
    elif target == "m":
        found = await workers.run_async(work)
    else:
        found = await _on_loop(work)
    return _results(work, found)


def _results(work: Work, found: Found) -> list[Any]:
    results = dict(work.passthrough)
    for call in work.calls:
        outcome = found.get(call.position)
        if isinstance(outcome, Success):
            result = outcome.value
        elif outcome is None and work.timeout is None:
            result = RuntimeError("its coroutine was cancelled")
        elif outcome is None:
            result = TimeoutError(f"not done within timeout={work.timeout}")
        else:
            result = outcome.error
        if isinstance(result, Exception):
            note = work.note(call.position)
            if note not in getattr(result, "__notes__", ()):
                result.add_note(note)
        results[call.position] = result
    return [results[position] for position in range(len(results))]


def _in_line(work: Work) -> Iterator[tuple[int, Outcome[Any]]]:
    deadline = None if work.timeout is None else time.monotonic() + work.timeout
    for call in work.calls:
        if deadline is not None and time.monotonic() > deadline:
            return
        if work.debug:
            yield call.position, Success(perform(work.task, call))
            continue
        try:
            yield call.position, Success(perform(work.task, call))
        except Exception as error:  # Ctrl-C is for the caller
            yield call.position, Failure(error)


class _CallThreads:
    """Some threads that make the same calls, each the next one that is left.

    Each that begins has the next one begin, for as long as there are calls: quick ones are made
    before so many threads have started. `ended` is done when no thread is at work any more.
    """

    def __init__(self, work: Work) -> None:
        self.found: Found = {}
        self.ended: Future[None] = Future()
        self._task = work.task
        self._left = deque(work.calls)
        count = work.workers or _THREADS_PER_CPU * system.available()
        self._vacant = min(count, len(work.calls))
        self._executor = DaemonExecutor(self._vacant, "aioaug-batch")
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._working = 0
        self._start_one()

    def leave(self, *, wait: bool) -> None:
        """Begin no call any more; with `wait`, see the threads go."""
        self._left.clear()
        self._executor.shutdown(wait)

    def _start_one(self) -> None:
        with self._lock:
            if not self._vacant or not self._left:
                return
            self._vacant -= 1
            self._working += 1
        try:
            self._executor.submit(self._context.copy().run, self._serve)
        except LimitError:  # there is no thread at all, which only the first may find
            self._leave_one()
            raise
        except RuntimeError:  # it was shut down in this moment
            self._leave_one()

    def _serve(self) -> None:
        self._start_one()
        while True:
            try:
                call = self._left.popleft()
            except IndexError:
                self._leave_one()
                return
            self.found[call.position] = attempt(perform, self._task, call)

    def _leave_one(self) -> None:
        with self._lock:
            self._working -= 1
            last = not self._working
        if last and not self.ended.done():
            self.ended.set_result(None)


def _in_threads(work: Work) -> Found:
    threads, done = _CallThreads(work), False
    try:
        done = bool(concurrent.futures.wait([threads.ended], work.timeout).done)
    finally:
        threads.leave(wait=done)
    return dict(threads.found)


async def _in_threads_async(work: Work) -> Found:
    threads = _CallThreads(work)
    try:
        await asyncio.wait([asyncio.wrap_future(threads.ended)], timeout=work.timeout)
    finally:
        threads.leave(wait=False)
    return dict(threads.found)


async def _on_loop(work: Work) -> Found:
    """Calls as tasks of the running loop; functions that are no coroutines go one by one."""
    found: Found = {}
    turns: Any = nullcontext() if work.workers is None else asyncio.Semaphore(work.workers)
    tasks: set[asyncio.Task[None]] = set()

    async def one(call: Call) -> None:
        async with turns:
            try:
                value = begin(work.task, call)
                found[call.position] = Success(await value if inspect.isawaitable(value) else value)
            except Exception as error:
                found[call.position] = Failure(error)

    deadline = None if work.timeout is None else time.monotonic() + work.timeout
    try:
        for call in work.calls:
            if deadline is not None and time.monotonic() > deadline:
                break
            tasks.add(asyncio.create_task(one(call)))
            await checkpoint()  # calls that compute before they wait begin in turns of their own
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        await asyncio.wait(tasks, timeout=left)
    finally:
        for task in tasks:
            task.cancel()
        await finish(_gone(tasks))
    return found


async def _gone(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
