"""A function called item by item: here, in threads, in processes or on an event loop.

The results do not depend on where the calls are made, and come in the order of the items.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from anyio.lowlevel import checkpoint

from .._aio.tasks import ended, finish, in_thread, together
from .._base import system
from .._base.results import Failure, Outcome, Success, attempt
from .._base.seeding import batch_seeds, make_rng, seed_generators
from .._base.threads import DaemonExecutor
from ..engines.shared import SharedEngine, shared_engine, shared_workers
from ..errors import TransportError, WorkerDied
from .randomness import ITEM, ItemRandom, Key, seed_at

# Whoever waits for a call would take these for the end of its own iteration or task.
ENDS = (StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError)
# Threads mostly wait, for files or for each other's turn with the interpreter.
_THREADS_PER_CPU = 4
# Each worker process's share of the calls goes to it in so many pieces.
_PIECES = 4

# The outcome of each call by its place; a call without one was not done in time.
Found = dict[int, Outcome[Any]]


class DataNotSent(BaseException):
    """A function asked for data that did not travel with it; it is to be called again with it.

    No `Exception`, so that the function does not take it for an error of its own.
    """


@dataclass(frozen=True)
class Call:
    """What one call has of its own; with `seed`, it gets a generator `rng`."""

    position: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None


_Perform = Callable[[Call], Any]


@dataclass(frozen=True)
class Task:
    """What all calls have in common.

    `root` is the key of the batch's seed, `path` the number of the call.
    """

    function: Callable[..., Any]
    kwargs: dict[str, Any]
    root: Key
    path: tuple[int, ...]

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        function = inspect.unwrap(getattr(self.function, "__func__", self.function))
        return inspect.iscoroutinefunction(function)

    def begin(self, call: Call) -> Any:
        """Call the function, in a context that is the item's from now on."""
        ITEM.set(ItemRandom(self.root, (*self.path, call.position)))
        kwargs = {**self.kwargs, **call.kwargs}
        if call.seed is not None:
            kwargs["rng"] = make_rng(call.seed)
        return self.function(*call.args, **kwargs)

    def perform_alone(self, call: Call) -> Any:
        """`begin` where nothing else runs: `random` and `numpy.random` are the item's, too."""
        seed_generators(batch_seeds(self._seed, call.position))
        try:
            return self.begin(call)
        except DataNotSent:
            return DataNotSent

    def for_workers(self) -> list[_Perform]:
        """`perform_alone`; of a method, first without the data of its batch, then with it."""
        batch: Any = getattr(self.function, "__self__", None)
        if not hasattr(type(batch), "without_data"):
            return [self.perform_alone]
        # A bound method would travel by its name, which a class below may use for another one.
        method: Any = self.function
        bound = (partial(method.__func__, each) for each in (batch.without_data(), batch))
        return [replace(self, function=each).perform_alone for each in bound]

    @cached_property
    def _seed(self) -> int:
        return int(seed_at(self.root, self.path).generate_state(1)[0])


@dataclass(frozen=True)
class Work:
    """Calls to be made, where, how many at once, and in how many seconds all of them.

    `passthrough` are results, by position, that need no call.
    """

    task: Task
    calls: Sequence[Call]
    target: str
    n_workers: int | None = None
    timeout: float | None = None
    passthrough: dict[int, Any] = field(default_factory=dict)
    debug: bool = False
    labels: Any = ()

    @property
    def place(self) -> str:
        """The letter of the target where the calls are made."""
        return "a" if self.task.is_async else self.target

    def deadline(self) -> float:
        """The time of the monotonic clock until which calls may begin now."""
        return math.inf if self.timeout is None else time.monotonic() + self.timeout

    def results(self, found: Found) -> list[Any]:
        """All results in order, out of the outcome of each call; none is one that timed out."""
        results = dict(self.passthrough)
        for place, call in enumerate(self.calls):
            outcome = found.get(place) or Failure(
                RuntimeError("its coroutine was cancelled")
                if self.timeout is None
                else TimeoutError(f"not done within timeout={self.timeout}")
            )
            result = outcome.value if isinstance(outcome, Success) else outcome.error
            if isinstance(result, Exception):
                note = self._note(call.position)
                if note not in getattr(result, "__notes__", ()):
                    result.add_note(note)
            results[call.position] = result
        return [results[position] for position in range(len(results))]

    def _note(self, position: int) -> str:
        """Words that say which item a call was for."""
        name = getattr(self.task.function, "__qualname__", repr(self.task.function))
        label = ""
        if len(self.labels) == len(self.calls) + len(self.passthrough):
            label = f" (index {self.labels[position]})"
        return f"while applying {name} to item {position}{label}"


def plainly(fn: Callable[[], Any], ends: tuple[type[BaseException], ...] = ENDS) -> Any:
    """What a function returns, with a plain error in the place of one that would end a caller."""
    try:
        return fn()
    except ends as error:
        raise RuntimeError(f"{type(error).__name__} was raised: {error}") from error


def run(work: Work) -> Found:
    """Make the calls of some work; it blocks."""
    if not work.calls:
        return {}
    if work.place == "f":
        return dict(_in_line(work))
    if work.place == "t":
        return _in_threads(work, deque(enumerate(work.calls)))
    if work.place == "m":
        with shared_workers() as shared:
            return shared.bridge.call(shared.run, _in_workers, shared, work)
    return shared_engine().bridge.call(partial(_on_loop, work, shared=True))


async def run_async(work: Work) -> Found:
    """`run` for coroutines."""
    if not work.calls:
        return {}
    if work.place == "f":
        found = {}
        for place, outcome in _in_line(work):
            found[place] = outcome
            await checkpoint()
        return found
    if work.place == "t":
        left, context = deque(enumerate(work.calls)), contextvars.copy_context()
        try:
            return await in_thread(context.run, _in_threads, work, left)
        finally:
            left.clear()  # cancelled, it leaves to the threads what they have begun
    if work.place == "m":
        with shared_workers() as shared:
            return await shared.bridge.call_async(shared.run, _in_workers, shared, work)
    return await _on_loop(work, shared=False)


def _left(deadline: float) -> float | None:
    """The seconds until then; `None` for an infinite time."""
    return None if deadline == math.inf else max(0.0, deadline - time.monotonic())


def _in_line(work: Work) -> Iterator[tuple[int, Outcome[Any]]]:
    deadline = work.deadline()
    for place, call in enumerate(work.calls):
        if time.monotonic() > deadline:
            return
        try:
            yield place, Success(contextvars.copy_context().run(work.task.begin, call))
        except Exception as error:  # Ctrl-C is for the caller
            if work.debug:
                raise
            yield place, Failure(error)


def _in_threads(work: Work, left: deque[tuple[int, Call]]) -> Found:
    """Calls in threads, each of which makes the next one that is left; it blocks.

    Each starts the next thread before its own first call, for as long as there are calls: quick
    ones are made before many threads have started. So the list grows while it is waited for.
    """
    found: Found = {}
    threads: list[Future[None]] = []
    count = min(work.n_workers or _THREADS_PER_CPU * system.available(), len(left))
    executor = DaemonExecutor(count, "aioaug-batch")
    deadline = work.deadline()

    def start() -> None:
        if left and len(threads) < count:
            threads.append(executor.submit(contextvars.copy_context().run, serve))

    def serve() -> None:
        with suppress(RuntimeError):  # it was shut down in this moment
            start()
        while left:
            try:
                place, call = left.popleft()
            except IndexError:  # another thread was first
                return
            found[place] = attempt(work.task.begin, call)

    try:
        start()
        for thread in threads:
            concurrent.futures.wait([thread], _left(deadline))
        return dict(found)
    finally:
        left.clear()
        executor.shutdown(wait=all(thread.done() for thread in threads))


async def _on_loop(work: Work, *, shared: bool) -> Found:
    """Calls as tasks of the running loop; functions that are no coroutines go one by one.

    On the loop that others share these go into threads, for they would hold up everybody.
    """
    found: Found = {}
    turns = asyncio.Semaphore(work.n_workers or len(work.calls))
    aside = asyncio.Lock() if shared and not work.task.is_async else None
    tasks: list[asyncio.Task[None]] = []

    async def begin(call: Call) -> Any:
        if aside is None:
            return work.task.begin(call)
        context = contextvars.copy_context()
        async with aside:
            value = await in_thread(context.run, plainly, partial(work.task.begin, call))
        ITEM.set(context[ITEM])
        return value

    async def one(place: int, call: Call) -> None:
        async with turns:
            try:
                value = await begin(call)
                found[place] = Success(await value if inspect.isawaitable(value) else value)
            except Exception as error:
                found[place] = Failure(error)

    deadline = work.deadline()
    try:
        for place, call in enumerate(work.calls):
            tasks.append(asyncio.create_task(one(place, call)))
            await checkpoint()  # calls that compute before they wait begin in turns of their own
            if time.monotonic() > deadline:
                break
        await asyncio.wait(tasks, timeout=_left(deadline))
    finally:
        for task in tasks:
            task.cancel()
        await finish(ended(tasks))
    return found


async def _in_workers(shared: SharedEngine, work: Work) -> Found:
    """Calls in worker processes, in pieces of several."""
    found: Found = {}
    count = work.n_workers or system.available()
    turns = asyncio.Semaphore(work.n_workers or 2 * count)

    async def outcomes(fn: _Perform, calls: Sequence[Call]) -> list[Outcome[Any]]:
        try:
            done: list[Outcome[Any]] = await shared.submit(count, _attempts, fn, calls)
            return done
        except (WorkerDied, TransportError) as error:
            if len(calls) == 1:
                return [Failure(error)]
            # One that takes the others down with it fails alone.
            return [(await outcomes(fn, [call]))[0] for call in calls]

    async def piece(fn: _Perform, places: Sequence[int]) -> None:
        async with turns:
            done = await outcomes(fn, [work.calls[place] for place in places])
        found.update(zip(places, done, strict=True))

    async def pieces(fn: _Perform, places: Sequence[int], each: int) -> None:
        size = math.ceil(len(places) / (each * count))
        starts = range(0, len(places), size)
        await together(piece(fn, places[start : start + size]) for start in starts)

    light, *whole = work.task.for_workers()
    try:
        async with asyncio.timeout(work.timeout):
            await pieces(light, range(len(work.calls)), _PIECES)
            again = sorted(place for place, outcome in found.items() if _lacks_data(outcome))
            for fn in whole if again else ():
                # One piece for each worker, since the data goes along with every piece.
                await pieces(fn, again, 1)
    except TimeoutError:
        shared.retire()  # they may be stuck in what nobody waits for any more
    return found


def _lacks_data(outcome: Outcome[Any]) -> bool:
    """Whether the function asked for data, or gave back the batch that lacks it."""
    if isinstance(outcome, Failure):
        return isinstance(outcome.error, TransportError)
    return outcome.value is DataNotSent


def _attempts(state: None, fn: _Perform, calls: Sequence[Call]) -> list[Outcome[Any]]:
    return [attempt(fn, call) for call in calls]
