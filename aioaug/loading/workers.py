"""The workers of a `BatchLoader`: each reads a source and makes batches of its items."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

from .._aio.tasks import finish
from .._base.seeding import batch_seeds, seed_generators
from .._base.threads import DaemonExecutor
from .._imgaug import Portable
from .._streaming.sources import BatchSource, open_source
from .._worker.augmentation import Augmentation
from ..engines import Engine, ProcessEngine


class LoaderWorker:
    """A source whose items are batches already, read by one worker.

    Other workers have `concurrency`: the number of items that may be in `make` at once.
    """

    concurrency = 0
    workers = 1

    def __init__(self, source: BatchSource) -> None:
        self.source = source

    async def make(self, item: Any) -> Any:
        """The batch that an item of the source stands for."""
        return item

    async def aclose(self, *, kill: bool) -> None:
        """End what makes the batches. The source is closed by whoever reads it."""

    def abandon(self) -> None:
        """End it and its source from any thread, the event loop being closed."""
        self.source.abandon()


class ThreadLoaderWorker(LoaderWorker):
    """Batches are made of the items in threads."""

    def __init__(self, source: BatchSource, load: Callable[[Any], Any], workers: int) -> None:
        super().__init__(source)
        self.concurrency = self.workers = workers
        self._load = load
        self._threads = DaemonExecutor(workers, "aioaug-load")

    async def make(self, item: Any) -> Any:
        return await asyncio.wrap_future(self._threads.submit(self._load, item))

    async def aclose(self, *, kill: bool) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> None:
        super().abandon()
        self._threads.abandon()


class ProcessLoaderWorker(LoaderWorker):
    """Batches are made of the items in worker processes: the items alone go there."""

    def __init__(
        self, source: BatchSource, load: Callable[[Any], Any], workers: int, seed: int
    ) -> None:
        super().__init__(source)
        self.workers = workers
        self.concurrency = 2 * workers  # one that is worked on, one to follow
        self._engine = ProcessEngine(Augmentation(load, seed), workers=workers)
        self._made = 0

    async def make(self, item: Any) -> Any:
        number, self._made = self._made, self._made + 1
        return await self._engine.submit(load_item, number, item)

    async def aclose(self, *, kill: bool) -> None:
        await self._engine.aclose(kill=kill)

    def abandon(self) -> None:
        super().abandon()
        self._engine.abandon()


def called_here(function: Callable[[], Any]) -> BatchSource:
    """What a function returns or yields, in a thread, or on the loop if it is async."""
    if inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function):
        return open_source(_awaited(function))
    return open_source(_Called(function))


class ProcessSource(BatchSource):
    """What a function returns or yields, called in a process of its own."""

    def __init__(self, function: Callable[[], Any], seed: int, number: int) -> None:
        self._engine: Engine = ProcessEngine(LoaderState(function, seed, number), workers=1)
        self._over = False

    async def pull(self, limit: int) -> list[Any]:
        try:
            batches: list[Any] = await self._engine.submit(load_next)
        except Exception:
            self._over = True
            raise
        if not batches:
            self._over = True
            raise StopAsyncIteration
        return batches

    async def aclose(self) -> None:
        await self._engine.aclose(kill=not self._over)

    def abandon(self) -> None:
        self._engine.abandon()


class LoaderState(Portable):
    """What a loading process holds: the function, and how far it is."""

    owns_interpreter: bool

    def __init__(self, function: Callable[[], Any], seed: int, number: int) -> None:
        self._function = function
        self._seeds = batch_seeds(seed, number)
        self._iterator: Iterator[Any] | None = None
        self._rng: ExitStack | None = None

    def clone(self) -> LoaderState:
        """Itself: it goes to one process only."""
        return self

    def next(self) -> list[Any]:
        """The next batch in a list, an empty one after the last."""
        if self._iterator is None:
            # Other processes load too, and must not draw the same random numbers.
            seed_generators(self._seeds)
            self._rng = ExitStack()
            self._rng.enter_context(self.private_rng(self._seeds.library))
            self._iterator = iter(self._function())
        for batch in self._iterator:
            return [batch]
        return []


def load_next(loading: LoaderState) -> list[Any]:
    """What a loading process is asked to do."""
    return loading.next()


def load_item(worker: Augmentation, number: int, item: Any) -> Any:
    """What a process that makes batches of items is asked to do."""
    return worker(number, item)


class _Called:
    """Iterates over what a function returns, and calls it in the thread that iterates."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def __iter__(self) -> Iterator[Any]:
        return iter(self._function())


async def _awaited(function: Callable[[], Any]) -> AsyncIterator[Any]:
    batches = function()
    if not isinstance(batches, AsyncIterable):
        batches = await batches
    source = open_source(batches)
    try:
        while True:
            try:
                some = await source.pull(1)
            except StopAsyncIteration:
                return
            for batch in some:
                yield batch
    finally:
        await finish(source.aclose())
