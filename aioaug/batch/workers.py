"""The worker processes of all batches: one engine for the program, on the host's loop.

It is started when it is first needed and lives on; `shutdown` ends it, and so does the end of the
program. A forked child starts one of its own.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from .._aio.bridge import BlockingBridge
from .._aio.tasks import end_in_thread, together
from .._base import system
from .._base.interrupts import undisturbed
from .._base.results import Failure, Outcome, attempt
from .._transport.shared_pickle import SharedPickle
from .._worker import main as worker_main
from ..engines import Engine, ProcessEngine
from ..errors import ClosedError, TransportError, WorkerDied
from .calls import Call, Task, Work, perform

T = TypeVar("T")

# Each worker's share of the calls goes to it in so many pieces.
_PIECES = 4


class _SharedEngine:
    """The engine, and what keeps the loop running that it lives on."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.bridge = BlockingBridge("Batch")
        self._engine: Engine | None = None
        self._started: asyncio.Future[None] | None = None
        self._closed = False
        self._ending: set[asyncio.Task[None]] = set()
        self._works: set[asyncio.Task[Any]] = set()

    async def submit(self, workers: int, fn: Callable[..., Any], *args: Any) -> Any:
        """Make a call in one of at least so many workers."""
        while True:
            engine, started = self._get(workers)
            try:
                # A call that is cancelled meanwhile is not to take the workers from the others.
                await asyncio.shield(started)
                return await engine.submit(fn, *args)
            except ClosedError:
                # It may have been replaced meanwhile, by one with more workers.
                if self._closed or self._engine is engine:
                    raise

    async def run(self, work: Work) -> dict[int, Outcome[Any]]:
        """Make the calls of `work`, in time or not at all."""
        task = asyncio.ensure_future(_run(self, work))
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        try:
            return await task
        finally:
            task.cancel()

    def retire(self) -> None:
        """Give the engine no more calls; it ends when nobody awaits any of it any more."""
        engine, self._engine = self._engine, None
        if engine is not None:
            ending = asyncio.create_task(engine.aclose())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End all workers when their calls are done."""
        while self._works:
            await asyncio.wait(self._works)
        self._closed = True
        self.retire()
        if self._ending:
            await asyncio.wait(self._ending)

    def _get(self, workers: int) -> tuple[Engine, asyncio.Future[None]]:
        if self._closed:
            raise ClosedError("the workers were shut down")
        if self._engine is None or self._started is None or self._engine.workers < workers:
            self.retire()
            self._engine = ProcessEngine(SharedPickle(None), workers=workers)
            self._started = asyncio.ensure_future(self._engine.start())
            self._started.add_done_callback(self._note_start)
        return self._engine, self._started

    def _note_start(self, started: asyncio.Future[None]) -> None:
        if (started.cancelled() or started.exception()) and started is self._started:
            self._engine = self._started = None  # the next call tries again


_lock = threading.Lock()  # only with `undisturbed`
_shared: _SharedEngine | None = None
# What a forked child has of its parent. To drop it would be to have asyncio complain of tasks
# that only the parent can end.
_parents: list[_SharedEngine] = []


def run(work: Work) -> dict[int, Outcome[Any]]:
    """Have worker processes make the calls; what has no outcome by then timed out."""
    worker_main.refuse_nested_pool()
    shared = _the_shared()
    return shared.bridge.call(shared.run, work)


async def run_async(work: Work) -> dict[int, Outcome[Any]]:
    """`run`, without blocking the event loop; cancelled, it abandons the calls."""
    worker_main.refuse_nested_pool()
    shared = _the_shared()
    return await shared.bridge.call_async(shared.run, work)


def call(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run a coroutine function for a caller that has no loop, on the one that all batches share."""
    return _the_shared().bridge.call(fn, *args)


def shutdown() -> None:
    """End the worker processes and the thread that all batches share, if they run.

    Calls under way are waited for. It blocks; from a coroutine await `shutdown_async`. The next
    call that needs workers starts new ones.
    """
    shared = undisturbed(_taken_away)
    if shared is not None and shared.pid == os.getpid():
        shared.bridge.end(shared.close)


async def shutdown_async() -> None:
    """`shutdown`, without blocking the event loop."""
    await end_in_thread(shutdown)


def _the_shared() -> _SharedEngine:
    shared = _shared
    if shared is None or shared.pid != os.getpid():
        shared = undisturbed(_renewed)
    return shared


def _renewed() -> _SharedEngine:
    global _shared
    with _lock:
        if _shared is None or _shared.pid != os.getpid():
            if _shared is not None:
                _parents.append(_shared)
            _shared = _SharedEngine()
        return _shared


def _taken_away() -> _SharedEngine | None:
    global _shared
    with _lock:
        shared, _shared = _shared, None
        return shared


async def _run(shared: _SharedEngine, work: Work) -> dict[int, Outcome[Any]]:
    workers = work.workers or system.available()
    calls, outcomes = work.calls, dict[int, Outcome[Any]]()
    size = math.ceil(len(calls) / (_PIECES * workers))
    turns = asyncio.Semaphore(2 * workers if work.workers is None else workers)

    async def one(piece: Sequence[Call]) -> None:
        async with turns:
            found = await _piece(shared, workers, work.task, piece)
        outcomes.update(zip((call.position for call in piece), found, strict=True))

    pieces = (one(calls[first : first + size]) for first in range(0, len(calls), size))
    try:
        async with asyncio.timeout(work.timeout):
            await together(pieces)
    except TimeoutError:
        # Workers may be stuck in what nobody waits for any more.
        shared.retire()
    return outcomes


async def _piece(
    shared: _SharedEngine, workers: int, task: Task, calls: Sequence[Call]
) -> list[Outcome[Any]]:
    """The outcomes of some calls; a call that takes the others down with it fails alone."""
    try:
        outcomes: list[Outcome[Any]] = await shared.submit(workers, _perform_all, task, calls)
        return outcomes
    except (WorkerDied, TransportError) as error:
        if len(calls) == 1:
            return [Failure(error)]
        return [(await _piece(shared, workers, task, [call]))[0] for call in calls]


def _perform_all(state: None, task: Task, calls: Sequence[Call]) -> list[Outcome[Any]]:
    return [attempt(perform, task, call) for call in calls]
