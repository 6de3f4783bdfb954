"""A function called item by item: here, in threads, in processes or on an event loop.

What takes several calls is written once, for callers that block and for those that await: as a
generator of steps. It yields `Work` and gets the results, each of which is what a call returned or
the exception it raised; they do not depend on where the calls are made, and come in the order of
the items. Or it yields a single call, a function without arguments, and gets what that returns.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from anyio.lowlevel import checkpoint

from .._aio.tasks import ended, finish, in_thread
from .._base import system
from .._base.arguments import whole_or_none
from .._base.results import Failure, Outcome, Success, attempt
from .._base.seeding import batch_seeds, seed_generators
from .._base.threads import DaemonExecutor
from . import workers
from .randomness import ITEM, ItemRandom, Key, make_rng, seed_at
from .workers import Found, Limits

# The names of targets; the first letter of each is what it goes by here.
_TARGETS = ("for", "threads", "mpc", "async")
# Whoever waits for a call would take these for the end of its own iteration or task.
_ENDS = (StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError)
_EXITS = (SystemExit, KeyboardInterrupt)
# Threads mostly wait, for files or for each other's turn with the interpreter.
_THREADS_PER_CPU = 4


@dataclass(frozen=True)
class Call:
    """What one call has of its own; with `seed`, it gets a generator `rng`."""

    position: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None


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
        """Call the function; the context it is called in stays that of the item."""
        ITEM.set(ItemRandom(self.root, (*self.path, call.position)))
        kwargs = {**self.kwargs, **call.kwargs}
        if call.seed is not None:
            kwargs["rng"] = make_rng(call.seed)
        return self.function(*call.args, **kwargs)

    def perform(self, call: Call) -> Any:
        """Call the function, and leave the context as it was."""
        before = ITEM.get()
        try:
            return self.begin(call)
        finally:
            ITEM.set(before)

    def perform_alone(self, call: Call) -> Any:
        """`perform` where nothing else runs: `random` and `numpy.random` are the item's, too."""
        seed_generators(batch_seeds(self._seed, call.position))
        return self.perform(call)

    def for_workers(self) -> list[Callable[[Call], Any]]:
        """`perform_alone`; of a method, first without the data of its batch, then with it."""
        batch: Any = getattr(self.function, "__self__", None)
        if not hasattr(type(batch), "without_data"):
            return [self.perform_alone]
        method: Any = self.function
        light = type(method)(method.__func__, batch.without_data())
        return [replace(self, function=light).perform_alone, self.perform_alone]

    @cached_property
    def _seed(self) -> int:
        return int(seed_at(self.root, self.path).generate_state(1)[0])


@dataclass(frozen=True)
class Work:
    """Calls to be made, and where. `passthrough` are results, by position, that need no call."""

    task: Task
    calls: Sequence[Call]
    target: str
    limits: Limits
    passthrough: dict[int, Any] = field(default_factory=dict)
    debug: bool = False
    labels: Any = ()

    @property
    def place(self) -> str:
        """The letter of the target where the calls are made."""
        return "a" if self.task.is_async else self.target

    def results(self, found: Found) -> list[Any]:
        """All results in order, out of the outcome of each call; none is one that timed out."""
        results = dict(self.passthrough)
        for place, call in enumerate(self.calls):
            outcome = found.get(place)
            if isinstance(outcome, Success):
                result = outcome.value
            elif outcome is not None:
                result = outcome.error
            elif self.limits.timeout is None:
                result = RuntimeError("its coroutine was cancelled")
            else:
                result = TimeoutError(f"not done within timeout={self.limits.timeout}")
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


Steps = Generator[Work | Callable[[], Any], Any, Any]


def check_target(target: Any) -> str:
    """The letter of a target; `ValueError` if there is no such target."""
    target = "threads" if target == "nogil" else target
    for name in _TARGETS:
        if target in (name, name[0]):
            return name[0]
    raise ValueError(f"target must be 'for', 'threads', 'mpc' or 'async', got {target!r}")


def check_limits(workers: Any, timeout: Any) -> Limits:
    """`n_workers` and `timeout`, or an error that names them."""
    if timeout is not None and not (isinstance(timeout, int | float) and timeout >= 0):
        raise ValueError(f"timeout must be a number of seconds, at least 0, got {timeout!r}")
    return Limits(whole_or_none("n_workers", workers, low=1), timeout)


def drive(steps: Steps) -> Any:
    """Take the steps one after another, and make their calls; it blocks."""
    over, found = _next(steps, None)
    while not over:
        if isinstance(found, Work):
            found = found.results(_run(found))
        elif inspect.isawaitable(found := _plainly(found)):
            found = workers.call(_awaited, found)
        over, found = _next(steps, found)
    return found


async def drive_async(steps: Steps) -> Any:
    """Take the steps in threads, since they load and copy, and await their calls.

    A step that has begun is waited for even when this is cancelled: it may be changing a batch.
    Of the calls, those that have not begun are dropped then, coroutines are cancelled, and the
    rest is abandoned.
    """

    def aside(fn: Callable[..., Any], *args: Any) -> Any:
        # In a thread of ours, exits and interrupts are nobody else's either.
        context = contextvars.copy_context()
        return in_thread(context.run, _plainly, partial(fn, *args), (*_ENDS, *_EXITS))

    over, found = await finish(aside(_next, steps, None))
    while not over:
        if isinstance(found, Work):
            found = found.results(await _run_async(found))
        elif inspect.isawaitable(found := await aside(found)):
            found = await _awaited(found)
        over, found = await finish(aside(_next, steps, found))
    return found


def _next(steps: Steps, found: Any) -> tuple[bool, Any]:
    """Whether the steps are at their end, and the result or what is to be done next."""
    try:
        return False, steps.send(found)
    except StopIteration as end:
        return True, end.value


def _plainly(fn: Callable[[], Any], ends: tuple[type[BaseException], ...] = _ENDS) -> Any:
    try:
        return fn()
    except ends as error:
        raise RuntimeError(f"{type(error).__name__} was raised: {error}") from error


async def _awaited(found: Awaitable[Any]) -> Any:
    try:
        return await found
    except StopAsyncIteration as error:
        raise RuntimeError(f"StopAsyncIteration was raised: {error}") from error


def _run(work: Work) -> Found:
    if not work.calls:
        return {}
    if work.place == "f":
        return dict(_in_line(work))
    if work.place == "t":
        deadline = work.limits.deadline()
        with _in_threads(work, join=True) as (found, threads):
            for thread in threads:
                concurrent.futures.wait([thread], _left(deadline))
        return dict(found)
    if work.place == "m":
        return workers.run(work.task.for_workers(), work.calls, work.limits)
    return workers.call(partial(_on_loop, work, shared=True))


async def _run_async(work: Work) -> Found:
    if not work.calls:
        return {}
    if work.place == "f":
        found = {}
        for place, outcome in _in_line(work):
            found[place] = outcome
            await checkpoint()
        return found
    if work.place == "t":
        deadline = work.limits.deadline()
        with _in_threads(work, join=False) as (found, threads):
            for thread in threads:
                await asyncio.wait([asyncio.wrap_future(thread)], timeout=_left(deadline))
        return dict(found)
    if work.place == "m":
        return await workers.run_async(work.task.for_workers(), work.calls, work.limits)
    return await _on_loop(work, shared=False)


def _left(deadline: float) -> float | None:
    """The seconds until then; `None` for an infinite time."""
    return None if deadline == math.inf else max(0.0, deadline - time.monotonic())


def _in_line(work: Work) -> Iterator[tuple[int, Outcome[Any]]]:
    deadline = work.limits.deadline()
    for place, call in enumerate(work.calls):
        if time.monotonic() > deadline:
            return
        try:
            yield place, Success(work.task.perform(call))
        except Exception as error:  # Ctrl-C is for the caller
            if work.debug:
                raise
            yield place, Failure(error)


@contextmanager
def _in_threads(work: Work, *, join: bool) -> Iterator[tuple[Found, list[Future[None]]]]:
    """Threads that each make the next call that is left, and none after the block is left.

    Each starts the next one before its own first call, for as long as there are calls: quick ones
    are made before many threads have started. So the list grows while it is waited for. `join`
    has threads that are done end first, which blocks for a moment.
    """
    found: Found = {}
    left = deque(enumerate(work.calls))

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
            found[place] = attempt(work.task.perform, call)

    count = min(work.limits.workers or _THREADS_PER_CPU * system.available(), len(left))
    executor = DaemonExecutor(count, "aioaug-batch")
    threads: list[Future[None]] = []
    try:
        start()
        yield found, threads
    finally:
        left.clear()
        executor.shutdown(wait=join and all(thread.done() for thread in threads))


async def _on_loop(work: Work, *, shared: bool) -> Found:
    """Calls as tasks of the running loop; functions that are no coroutines go one by one.

    On the loop that others share these go into threads, for they would hold up everybody.
    """
    found: Found = {}
    turns = asyncio.Semaphore(work.limits.workers or len(work.calls))
    aside = asyncio.Lock() if shared and not work.task.is_async else None
    tasks: list[asyncio.Task[None]] = []

    async def begin(call: Call) -> Any:
        if aside is None:
            return work.task.begin(call)
        context = contextvars.copy_context()
        async with aside:
            value = await in_thread(context.run, _plainly, partial(work.task.begin, call))
        ITEM.set(context[ITEM])
        return value

    async def one(place: int, call: Call) -> None:
        async with turns:
            try:
                value = await begin(call)
                found[place] = Success(await value if inspect.isawaitable(value) else value)
            except Exception as error:
                found[place] = Failure(error)

    deadline = work.limits.deadline()
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


class Turns:
    """Lets the batches of a run into an action one after another, in their order from 1.

    Each leaves in the end, whether it was let in or not, so nobody waits for one that failed.
    """

    def __init__(self) -> None:
        self._next = 1
        self._left: set[int] = set()
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def wait(self, number: int) -> None:
        """Wait until all before this one have left."""
        if number > self._next:
            self._waiting[number] = asyncio.get_running_loop().create_future()
            await self._waiting[number]

    async def leave(self, number: int) -> None:
        """Let the next one in; it may be said more than once."""
        if number >= self._next:
            self._left.add(number)
        while self._next in self._left:
            self._left.remove(self._next)
            self._next += 1
            waiting = self._waiting.pop(self._next, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
