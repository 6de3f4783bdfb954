"""The worker processes of all batches: one engine for the program, on the loop that callers share.

It is started when it is first needed and lives on; `shutdown` ends it, and so does the end of the
program. A forked child starts one of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
import operator
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from .._aio.bridge import BlockingBridge
from .._aio.tasks import end_in_thread, together
from .._base import system
from .._base.interrupts import undisturbed
from .._base.results import Failure, Outcome, attempt
from .._transport.shared_pickle import SharedPickle
from .._worker import main as worker_main
from ..engines import Engine, ProcessEngine
from ..errors import ClosedError, TransportError, WorkerDied

T = TypeVar("T")
Function = Callable[[Any], Any]
Items = Sequence[Any]
# The outcome for each item by its place; an item without one was not done in time.
Found = dict[int, Outcome[Any]]


class DataNotSent(BaseException):
    """A function asked for data that did not travel with it; it is to be called again with it.

    No `Exception`, so that the function does not take it for an error of its own.
    """


# Each worker's share of the items goes to it in so many pieces.
_PIECES = 4


class Limits(NamedTuple):
    """How many calls may run at once, and how many seconds all of them may take."""

    workers: int | None
    timeout: float | None

    def deadline(self) -> float:
        """The time of the monotonic clock until which calls may begin now."""
        return math.inf if self.timeout is None else time.monotonic() + self.timeout


class _SharedEngine:
    """The engine, and what keeps the loop running that it lives on."""

    def __init__(self) -> None:
        self.bridge = BlockingBridge("Batch")
        self._engine: Engine | None = None
        self._abandoned: Engine | None = None
        self._started: asyncio.Future[None] | None = None
        self._closed = False
        self._ending: set[asyncio.Task[None]] = set()
        self._runs: set[asyncio.Task[Found]] = set()

    async def run(self, fns: Sequence[Function], items: Items, limits: Limits) -> Found:
        """Call a function for each item; shutting down waits for it."""
        task = asyncio.ensure_future(self._run(fns, items, limits))
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        try:
            return await task
        finally:
            task.cancel()

    def abandon(self) -> None:
        """Have the next call get new workers; from any thread.

        Whoever stops waiting says so at once: the call is cancelled only later, on the loop.
        """
        self._abandoned = self._engine

    async def close(self) -> None:
        """End all workers when their calls are done."""
        while self._runs:
            await asyncio.wait(self._runs)
        self._closed = True
        self._retire(self._engine)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _run(self, fns: Sequence[Function], items: Items, limits: Limits) -> Found:
        found: Found = {}
        light, *whole = fns
        try:
            async with asyncio.timeout(limits.timeout):
                await self._round(light, items, range(len(items)), _PIECES, limits, found)
                again = [place for place, outcome in found.items() if _lacks_data(outcome)]
                for fn in whole if again else ():
                    # One piece for each worker, since the data goes along with every piece.
                    await self._round(fn, items, sorted(again), 1, limits, found)
        except TimeoutError:
            # Workers may be stuck in what nobody waits for any more.
            self._retire(self._engine)
        return found

    async def _round(
        self,
        fn: Function,
        items: Items,
        places: Sequence[int],
        pieces: int,
        limits: Limits,
        found: Found,
    ) -> None:
        """Put the outcomes for the items at some places into `found`, piece by piece."""
        workers = limits.workers or system.available()
        size = math.ceil(len(places) / (pieces * workers))
        turns = asyncio.Semaphore(limits.workers or 2 * workers)

        async def one(first: int) -> None:
            piece = places[first : first + size]
            async with turns:
                outcomes = await self._piece(workers, fn, [items[place] for place in piece])
            found.update(zip(piece, outcomes, strict=True))

        await together(map(one, range(0, len(places), size)))

    async def _piece(self, workers: int, fn: Function, items: Items) -> list[Outcome[Any]]:
        """The outcomes for some items; one that takes the others down with it fails alone."""
        try:
            outcomes: list[Outcome[Any]] = await self._submit(workers, _attempts, fn, items)
            return outcomes
        except (WorkerDied, TransportError) as error:
            if len(items) == 1:
                return [Failure(error)]
            return [(await self._piece(workers, fn, [item]))[0] for item in items]

    async def _submit(self, workers: int, fn: Callable[..., Any], *args: Any) -> Any:
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

    def _get(self, workers: int) -> tuple[Engine, asyncio.Future[None]]:
        if self._closed:
            raise ClosedError("the workers were shut down")
        self._retire(self._abandoned)
        if self._engine is None or self._started is None or self._engine.workers < workers:
            self._retire(self._engine)
            self._engine = ProcessEngine(SharedPickle(None), workers=workers)
            self._started = asyncio.ensure_future(self._engine.start())
            self._started.add_done_callback(self._note_start)
        return self._engine, self._started

    def _note_start(self, started: asyncio.Future[None]) -> None:
        if (started.cancelled() or started.exception()) and started is self._started:
            self._engine = self._started = None  # the next call tries again

    def _retire(self, engine: Engine | None) -> None:
        """Give the engine no more calls; it ends when nobody awaits any of it any more."""
        if engine is not None and engine is self._engine:
            self._engine = self._abandoned = None
            ending = asyncio.create_task(engine.aclose())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


def run(fns: Sequence[Function], items: Items, limits: Limits) -> Found:
    """Call the first function for each item in worker processes.

    The second one, if there is one, is called for items for which the first lacks data.
    """
    worker_main.refuse_nested_pool()
    shared = _shared
    try:
        return shared.bridge.call(shared.run, fns, items, limits)
    except KeyboardInterrupt:
        shared.abandon()
        raise


async def run_async(fns: Sequence[Function], items: Items, limits: Limits) -> Found:
    """`run`, without blocking the event loop; cancelled, it abandons the calls."""
    worker_main.refuse_nested_pool()
    shared = _shared
    try:
        return await shared.bridge.call_async(shared.run, fns, items, limits)
    except asyncio.CancelledError:
        shared.abandon()
        raise


def call(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run a coroutine function for a caller that has no loop, on the one that all batches share."""
    return _shared.bridge.call(fn, *args)


def shutdown() -> None:
    """End the worker processes and the thread that all batches share, if they run.

    Calls under way are waited for. It blocks; from a coroutine await `shutdown_async`. The next
    call that needs workers starts new ones.
    """
    shared = undisturbed(_replaced)
    shared.bridge.end(shared.close)


async def shutdown_async() -> None:
    """`shutdown`, without blocking the event loop."""
    await end_in_thread(shutdown)


def _replaced() -> _SharedEngine:
    global _shared
    with _lock:
        before, _shared = _shared, _SharedEngine()
        return before


def _after_fork() -> None:
    global _lock
    _parents.append(_shared)
    _lock = threading.Lock()
    _replaced()


def _lacks_data(outcome: Outcome[Any]) -> bool:
    """Whether the function asked for data, or gave back the batch that lacks it."""
    if isinstance(outcome, Failure):
        return isinstance(outcome.error, TransportError)
    return outcome.value is DataNotSent


def _attempts(state: None, fn: Function, items: Items) -> list[Outcome[Any]]:
    return [attempt(_value_or_need, fn, item) for item in items]


def _value_or_need(fn: Function, item: Any) -> Any:
    try:
        return fn(item)
    except DataNotSent:
        return DataNotSent


class UnboundCall:
    """A decorated method without its decorators, bound to a batch; it pickles by its name."""

    def __init__(self, method: Callable[..., Any], *bound: Any) -> None:
        self.__func__ = method
        self._bound = bound
        self.__self__ = bound[0] if bound else None
        self.__qualname__ = method.__qualname__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(*self._bound, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _find_unbound, (self.__func__.__module__, self.__func__.__qualname__, self._bound)


def _find_unbound(module: str, qualname: str, bound: tuple[Any, ...]) -> UnboundCall:
    found = operator.attrgetter(qualname)(importlib.import_module(module))
    return UnboundCall(inspect.unwrap(found), *bound)


_lock = threading.Lock()  # only with `undisturbed`
_shared = _SharedEngine()
# What a forked child has of its parent. To drop it would be to have asyncio complain of tasks
# that only the parent can end.
_parents: list[_SharedEngine] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
