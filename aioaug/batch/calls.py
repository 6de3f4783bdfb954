"""A function called item by item: here, in threads, in processes or on an event loop.

The results, and the random numbers, do not depend on where the calls are made.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import starmap
from typing import Any

import numpy as np
from anyio.lowlevel import checkpoint

from .._aio.tasks import in_thread
from .._base import system
from .._base.results import Failure, Outcome, Success, plainly
from .._base.seeding import batch_seeds, make_rng, seed_sequence, seeded_generators
from .._base.threads import attempt_each
from ..engines.shared import SharedEngine, shared_engine, shared_workers
from ..errors import TransportError

# Threads mostly wait, for files or for each other's turn with the interpreter.
_THREADS_PER_CPU = 4

# The outcome of each call by its place; a call without one was not done in time.
Found = dict[int, Outcome[Any]]
# What two seeds have in common if their numbers are the same.
Key = tuple[Any, tuple[int, ...]]


def key_of(seed: np.random.SeedSequence) -> Key:
    return seed.entropy, tuple(seed.spawn_key)


def seed_at(root: Key, path: tuple[int, ...]) -> np.random.SeedSequence:
    """The seed that belongs to a path below the seed of this key."""
    return np.random.SeedSequence(root[0], spawn_key=root[1] + path)


class ItemRandom:
    """What `batch.random` is for an item: below a batch's seed, by the call and the position."""

    def __init__(self, root: Key, path: tuple[int, ...]) -> None:
        self.root, self.path = root, path
        self._calls = iter(range(sys.maxsize))

    @cached_property
    def generator(self) -> np.random.Generator:
        return make_rng(seed_at(self.root, self.path))

    def next_path(self) -> tuple[Key, tuple[int, ...]]:
        """The key of the seed, and the path of the next call that the item's function makes."""
        return self.root, (*self.path, next(self._calls))


# The item that this thread, task or worker works on.
ITEM: ContextVar[ItemRandom | None] = ContextVar("aioaug-item", default=None)


class BatchRandom:
    """A batch's seed and generator, made when they are first asked for, and its calls' numbers."""

    def __init__(self, seed: Any = None) -> None:
        if seed is not None:
            self._seed, self._generator = seed_sequence(seed), make_rng(seed)
        self._calls = iter(range(sys.maxsize))

    @property
    def seed(self) -> np.random.SeedSequence:
        return self._once("_seed", seed_sequence)  # type: ignore[no-any-return]

    @property
    def generator(self) -> np.random.Generator:
        """The item's generator while one of this batch is worked on, otherwise the batch's."""
        item = self._item()
        return item.generator if item else self._once("_generator", lambda: make_rng(self.seed))

    def next_path(self) -> tuple[Key, tuple[int, ...]]:
        """The key of the seed, and the path of the next call that works on items."""
        item = self._item()
        return item.next_path() if item else (key_of(self.seed), (next(self._calls),))

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        own = vars(self)  # in one step: threads that ask at once get the same
        return own[name] if name in own else own.setdefault(name, make())

    def _item(self) -> ItemRandom | None:
        item, seed = ITEM.get(), vars(self).get("_seed")
        return item if item and (seed is None or key_of(seed) == item.root) else None


class DataNotSent(BaseException):
    """A function asked for data that did not travel. It is no `Exception` that it may handle."""


@dataclass(frozen=True)
class Call:
    """What one call has of its own; with `seed`, it gets a generator `rng`."""

    position: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    seed: int | None


@dataclass(frozen=True)
class Task:
    """What all calls have in common; `root` is the key of the batch's seed, `path` their number."""

    function: Callable[..., Any]
    kwargs: dict[str, Any]
    root: Key
    path: tuple[int, ...]
    owns_interpreter: bool = True  # where it runs alone

    @property
    def is_async(self) -> bool:
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
        """`begin` in a worker of an engine: `random` and `numpy.random` are the item's, too."""
        seeds = batch_seeds(self._seed, call.position)
        try:
            with seeded_generators(seeds, owned=self.owns_interpreter):
                if self.owns_interpreter:
                    return self.begin(call)
                # Not in the context of whoever is served here, as of a thread that goes on.
                return contextvars.copy_context().run(self.begin, call)
        except DataNotSent:
            return DataNotSent

    def for_workers(self) -> list[Callable[[Call], Any]]:
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
    """Calls to be made in a place, the letter of a target, and results that need no call."""

    task: Task
    calls: Sequence[Call]
    passthrough: dict[int, Any]
    place: str
    n_workers: int | None
    timeout: float | None
    engine: Any = None  # of workers, as `AsyncPool` takes it
    debug: bool = False
    labels: Any = ()  # of the items, one for each call and result, if these are for the items

    def results(self, found: Found) -> list[Any]:
        """All results in order, out of the outcome of each call; none is one that timed out."""
        results = dict(self.passthrough)
        name = getattr(self.task.function, "__qualname__", repr(self.task.function))
        count = len(self.calls) + len(results)
        labels = self.labels if len(self.labels) == count else None
        for place, call in enumerate(self.calls):
            outcome = found.get(place) or Failure(
                RuntimeError("its coroutine was cancelled")
                if self.timeout is None
                else TimeoutError(f"not done within timeout={self.timeout}")
            )
            result = outcome.value if isinstance(outcome, Success) else outcome.error
            if isinstance(result, Exception):
                index = "" if labels is None else f" (index {labels[call.position]})"
                note = f"while applying {name} to item {call.position}{index}"
                if note not in getattr(result, "__notes__", ()):
                    result.add_note(note)
            results[call.position] = result
        return [results[position] for position in range(count)]


def run(work: Work) -> Found:
    """Make the calls of some work; it blocks."""
    if work.place == "f" or not work.calls:
        return dict(_in_line(work))
    if work.place == "t":
        return _in_threads(work, deque(enumerate(work.calls)))
    if work.place == "m":
        with shared_workers(work.engine) as shared:
            return shared.bridge.call(shared.run, _in_workers, shared, work)
    return shared_engine().bridge.call(partial(_on_loop, work, shared=True))


async def run_async(work: Work) -> Found:
    if work.place == "f" or not work.calls:
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
        with shared_workers(work.engine) as shared:
            return await shared.bridge.call_async(shared.run, _in_workers, shared, work)
    return await _on_loop(work, shared=False)


def _in_line(work: Work) -> Iterator[tuple[int, Outcome[Any]]]:
    deadline = math.inf if work.timeout is None else time.monotonic() + work.timeout
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
    count = work.n_workers or _THREADS_PER_CPU * system.available()
    return attempt_each(work.task.begin, left, threads=count, seconds=work.timeout)


async def _on_loop(work: Work, *, shared: bool) -> Found:
    """Calls as tasks of the running loop; functions that are no coroutines go one by one.

    On the loop that others share these go into threads, for they would hold up everybody.
    """
    found: Found = {}
    turns, begins = asyncio.Semaphore(work.n_workers or len(work.calls)), asyncio.Lock()
    aside = shared and not work.task.is_async

    async def one(place: int, call: Call) -> None:
        context, begin = contextvars.copy_context(), partial(work.task.begin, call)
        async with turns:
            try:
                async with begins:
                    await checkpoint()  # what computes before it waits has a turn for itself
                    value = await in_thread(context.run, plainly, begin) if aside else begin()
                if aside:
                    ITEM.set(context[ITEM])
                found[place] = Success(await value if inspect.isawaitable(value) else value)
            except Exception as error:
                found[place] = Failure(error)

    with suppress(TimeoutError):
        async with asyncio.timeout(work.timeout):
            # When it is cancelled it waits for all of them. One that was cancelled by itself
            # would end the others without `return_exceptions`.
            await asyncio.gather(*starmap(one, enumerate(work.calls)), return_exceptions=True)
    return found


async def _in_workers(shared: SharedEngine, work: Work) -> Found:
    """Calls in workers of an engine; of methods, those that lack data once more, with it."""
    found: Found = {}
    calls = dict(enumerate(work.calls))
    task = replace(work.task, owns_interpreter=shared.owns_interpreter)
    light, *whole = task.for_workers()
    try:
        async with asyncio.timeout(work.timeout):
            await shared.attempt_each(light, calls, found, workers=work.n_workers)
            again = {place: calls[place] for place in calls if _lacks_data(found[place])}
            for fn in whole if again else ():
                # One piece for each worker, since the data goes along with every piece.
                await shared.attempt_each(fn, again, found, workers=work.n_workers, pieces=1)
    except TimeoutError:
        shared.retire()  # they may be stuck in what nobody waits for any more
    return found


def _lacks_data(outcome: Outcome[Any]) -> bool:
    """Whether the function asked for data, or gave back the batch that lacks it."""
    if isinstance(outcome, Failure):
        return isinstance(outcome.error, TransportError)
    return outcome.value is DataNotSent
