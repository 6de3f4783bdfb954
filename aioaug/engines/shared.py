"""The workers that parts of a program share: one engine of a kind, on the loop of blocking callers.

It is started when it is first needed and lives on; `shutdown` ends it, and so does the end of the
program. A forked child starts one of its own. Usually its workers are processes.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from .._aio.bridge import BlockingBridge
from .._aio.tasks import end_in_thread, together
from .._base import system
from .._base.interrupts import undisturbed
from .._base.results import Failure, Outcome, attempt
from .._transport.shared_pickle import SharedPickle
from .._worker import main as worker_main
from ..errors import ClosedError, TransportError, WorkerDied
from . import engine_class, is_cluster, is_ours
from .base import Engine

T = TypeVar("T")


class NoState:
    """What workers hold that need to hold nothing."""

    owns_interpreter = False

    def clone(self) -> Self:
        """Itself."""
        return self


class SharedEngine:
    """The engine, and what keeps the loop running that it lives on.

    It is replaced by one with more workers when a call asks for more, and by a new one when its
    workers may be stuck in what nobody waits for any more. A cluster has the workers that it has.
    """

    def __init__(self, kind: Any = None) -> None:
        self._make = engine_class(kind or "process")
        # Whether the global generators there are nobody else's.
        self.owns_interpreter = is_ours(kind)
        self._fixed = is_cluster(self._make)
        self.bridge = BlockingBridge("Batch")
        self._asked = 0
        self._engine: Engine | None = None
        self._abandoned: Engine | None = None
        self._started: asyncio.Future[None] | None = None
        self._closed = False
        self._ending: set[asyncio.Task[None]] = set()
        self._runs: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Do work that submits calls; closing the engine waits for it."""
        task = asyncio.create_task(work(*args))
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        try:
            return await task
        finally:
            task.cancel()

    async def submit(self, workers: int, fn: Callable[..., Any], *args: Any) -> Any:
        """Return what `fn(None, *args)` returns in one of at least so many workers."""
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

    async def attempt_each(
        self,
        fn: Callable[[T], Any],
        items: Mapping[int, T],
        found: dict[int, Outcome[Any]],
        *,
        workers: int | None = None,
        pieces: int = 4,
    ) -> None:
        """Put the outcome of a call for each item into `found`, under its number, as it comes.

        At most so many workers make calls at once, each of them in so many pieces. One that takes
        the others of its piece down with it fails alone.
        """
        count = workers or await self._usual_workers()
        turns = asyncio.Semaphore(workers or 2 * count)
        size = math.ceil(len(items) / (pieces * count))
        numbers = list(items)

        async def outcomes(some: Sequence[T]) -> list[Outcome[Any]]:
            try:
                done: list[Outcome[Any]] = await self.submit(count, _attempts, fn, some)
                return done
            except (WorkerDied, TransportError) as error:
                if len(some) == 1:
                    return [Failure(error)]
                return [(await outcomes([one]))[0] for one in some]

        async def piece(start: int) -> None:
            some = numbers[start : start + size]
            async with turns:
                done = await outcomes([items[number] for number in some])
            found.update(zip(some, done, strict=True))

        await together(map(piece, range(0, len(items), size)))

    def abandon(self) -> None:
        """Have the next call get new workers; from any thread.

        Whoever stops waiting says so at once: the call is cancelled only later, on the loop.
        """
        self._abandoned = self._engine

    def retire(self) -> None:
        """Give the engine no more calls; it ends when nobody awaits any of it any more."""
        engine, self._engine, self._abandoned = self._engine, None, None
        if engine is not None:
            ending = asyncio.create_task(engine.aclose())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End all workers when their calls are done."""
        while self._runs:
            await asyncio.wait(self._runs)
        self._closed = True
        self.retire()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _usual_workers(self) -> int:
        if not self._fixed:
            return system.available()
        engine, started = self._get(1)
        await asyncio.shield(started)
        return engine.workers

    def _get(self, workers: int) -> tuple[Engine, asyncio.Future[None]]:
        if self._closed:
            raise ClosedError("the workers were shut down")
        if self._abandoned is self._engine:
            self.retire()
        few = self._asked < workers and not self._fixed
        if self._engine is None or self._started is None or few:
            self.retire()
            self._asked = workers
            # A process that unpickled a `NoState` would have to import this module.
            state = SharedPickle(None) if self.owns_interpreter else NoState()
            self._engine = self._make(state, workers=workers)
            self._started = asyncio.ensure_future(self._engine.start())
            self._started.add_done_callback(self._note_start)
        return self._engine, self._started

    def _note_start(self, started: asyncio.Future[None]) -> None:
        if (started.cancelled() or started.exception()) and started is self._started:
            self._engine = self._started = None  # the next call tries again


def _attempts(state: None, fn: Callable[[Any], Any], items: Sequence[Any]) -> list[Outcome[Any]]:
    return [attempt(fn, item) for item in items]


def shared_engine(kind: Any = None) -> SharedEngine:
    """The one of this process for such an engine, as `AsyncPool` takes it."""
    found = _shared.get(kind)
    # One step, so that threads that come at once get the same.
    return _shared.setdefault(kind, SharedEngine(kind)) if found is None else found


@contextmanager
def shared_workers(kind: Any = None) -> Iterator[SharedEngine]:
    """The shared engine for a call of its workers, not within one of them.

    Whoever leaves the block before the call has ended leaves its workers to it.
    """
    worker_main.refuse_nested_pool()
    shared = shared_engine(kind)
    try:
        yield shared
    except (KeyboardInterrupt, asyncio.CancelledError):
        shared.abandon()
        raise


def shutdown() -> None:
    """End the worker processes and the thread that all batches share, if they run.

    Calls under way are waited for. It blocks; from a coroutine await `shutdown_async`. The next
    call that needs workers starts new ones.
    """
    for shared in undisturbed(_replaced):
        shared.bridge.end(shared.close)


async def shutdown_async() -> None:
    """`shutdown`, without blocking the event loop."""
    await end_in_thread(shutdown)


def _replaced() -> list[SharedEngine]:
    with _lock:
        before = list(_shared.values())
        _shared.clear()
        return before


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _parents.extend(_replaced())


_lock = threading.Lock()  # only with `undisturbed`
_shared: dict[Any, SharedEngine] = {}  # by what was passed as `engine`
# What a forked child has of its parent. To drop it would be to have asyncio complain of tasks
# that only the parent can end.
_parents: list[SharedEngine] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
