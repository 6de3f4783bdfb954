"""The worker processes of all batches: one engine for the program, on a loop of its own thread.

It is started when it is first needed and lives on; `shutdown` ends it, and so does the end of the
program. A forked child starts one of its own.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, process
from typing import Any, Self

from .. import _worker, machine
from .._tasks import finish, in_thread, together
from ..engines import Engine, ProcessEngine
from ..errors import ClosedError, TransportError, WorkerDied
from ..outcomes import Failure, Outcome, attempt
from ._portal import Portal
from .calls import Call, Task, Work, perform

# Each worker's share of the calls goes to it in so many pieces.
_PIECES = 4
# Where the engine is ended with the program: before the executors of the standard library are
# waited for, whose workers would else serve this program for ever.
_at_exit: Callable[..., None] | None = getattr(threading, "_register_atexit", None)
_executors = process.ProcessPoolExecutor  # imported, so that its own end comes after ours


class _Nothing:
    """The state of workers that need none: calls bring all they need."""

    private = True

    def clone(self) -> Self:
        return self


class _Shared:
    """The engine, and the portal on whose loop it runs."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.portal = Portal("aioaug-batch")
        self._engine: Engine | None = None
        self._started: asyncio.Future[None] | None = None
        self._killed = False
        self._ending: dict[asyncio.Task[None], Engine] = {}
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
                if self._killed or self._engine is engine:
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
            self._ending[ending] = engine
            ending.add_done_callback(self._ending.pop)

    async def close(self, kill: bool = False) -> None:
        """End all workers when their calls are done; with `kill`, whatever they do."""
        if self._works and not kill:
            await asyncio.wait(self._works)
        self._killed = kill
        self.retire()
        if kill:
            await asyncio.gather(*(engine.aclose(kill=True) for engine in self._ending.values()))
        if self._ending:
            await asyncio.wait(self._ending)

    def _get(self, workers: int) -> tuple[Engine, asyncio.Future[None]]:
        if self._killed:
            raise ClosedError("the program ends")
        if self._engine is None or self._started is None or self._engine.workers < workers:
            self.retire()
            self._engine = ProcessEngine(_Nothing(), workers=workers)
            self._started = asyncio.ensure_future(self._engine.start())
            self._started.add_done_callback(self._note_start)
        return self._engine, self._started

    def _note_start(self, started: asyncio.Future[None]) -> None:
        if (started.cancelled() or started.exception()) and started is self._started:
            self._engine = self._started = None  # the next call tries again


_lock = threading.Lock()
_shared: _Shared | None = None
# What a forked child has of its parent. To drop it would be to end it, by a thread that only
# the parent has.
_parents: list[_Shared] = []


def submit(work: Work) -> Future[dict[int, Outcome[Any]]]:
    """Have worker processes make the calls; what has no outcome by then timed out."""
    _worker.refuse_nested_pool()
    shared = _the_shared()
    return shared.portal.submit(shared.run, work)


async def run(work: Work) -> dict[int, Outcome[Any]]:
    """`submit`, and wait for it; cancelled, it abandons the calls."""
    futures: list[Future[dict[int, Outcome[Any]]]] = []
    try:
        # To start the portal's thread, and a task there, is to wait for it.
        await finish(in_thread(lambda: futures.append(submit(work))))
        return await asyncio.wrap_future(futures[0])
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def portal() -> Portal:
    """A loop for coroutines of callers that have none."""
    return _the_shared().portal


def shutdown() -> None:
    """End the worker processes and the thread that all batches share, if they run.

    Calls under way are waited for. It blocks; from a coroutine await `shutdown_async`. The next
    call that needs workers starts new ones.
    """
    global _shared
    with _lock:
        shared, _shared = _shared, None
    if shared is not None and shared.pid == os.getpid():
        try:
            shared.portal.call(shared.close)
        finally:
            shared.portal.close()


async def shutdown_async() -> None:
    """`shutdown`, without blocking the event loop."""
    await in_thread(shutdown)


def _the_shared() -> _Shared:
    global _shared, _at_exit
    with _lock:
        if _shared is None or _shared.pid != os.getpid():
            if _shared is not None:
                _parents.append(_shared)
            _shared = _Shared()
            if _at_exit is not None:
                _at_exit(_end)
                _at_exit = None
        return _shared


def _end() -> None:
    global _shared
    shared, _shared = _shared, None
    if shared is not None and shared.pid == os.getpid():
        shared.portal.call(shared.close, True)
        shared.portal.close()


async def _run(shared: _Shared, work: Work) -> dict[int, Outcome[Any]]:
    workers = work.workers or machine.available()
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
    shared: _Shared, workers: int, task: Task, calls: Sequence[Call]
) -> list[Outcome[Any]]:
    """The outcomes of some calls; a call that takes the others down with it fails alone."""
    try:
        outcomes: list[Outcome[Any]] = await shared.submit(workers, _perform_all, task, calls)
        return outcomes
    except (WorkerDied, TransportError) as error:
        if len(calls) == 1:
            return [Failure(error)]
        return [(await _piece(shared, workers, task, [call]))[0] for call in calls]


def _perform_all(state: _Nothing, task: Task, calls: Sequence[Call]) -> list[Outcome[Any]]:
    return [attempt(perform, task, call) for call in calls]
