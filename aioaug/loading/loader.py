"""Batches loaded ahead, by some workers at once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from .._aio.tasks import acting, drop_tasks, ended, finish, together
from .._base.arguments import check_not_async, whole
from .._base.results import Failure, Success
from .._base.seeding import check_seed
from .._streaming.sources import PATIENCE, open_source
from .._worker import main as worker_main
from ..errors import ClosedError
from .base import LOST, BackgroundIterator
from .loaded_queue import LoadedQueue
from .workers import (
    LoaderWorker,
    ProcessLoaderWorker,
    ProcessSource,
    ThreadLoaderWorker,
    called_here,
)

_END = object()


class BatchLoader(BackgroundIterator):
    """Loads batches in the background into a queue, until the last one or until it is full.

    Building it starts nothing; entering it, `start` or the first request starts all workers.
    Batches come in no particular order by `async for`, `get_batch` or `queue`; those of one
    worker keep theirs. What a loader raises reaches the consumer behind the batches that came
    before it; then that worker has ended, and the others go on.

    Args:
        load_batch_func: a generator function or a function that returns an iterable, called once
            by each worker, so that each batch comes `nb_workers` times; or a list, an iterable,
            an iterator or a generator, read by one worker, each batch once. Without `threaded`
            it must be a function that pickles. Async functions and generators are run on the
            event loop.
        queue_size: the most batches that wait in the queue, at least 2.
        nb_workers: the number of workers, at least 1.
        threaded: load in threads, otherwise in processes, each with random numbers of its own.
        load: makes a batch of what `load_batch_func` gives, such as a file's name or an index.
            The workers run it, `nb_workers` at once, and only the name goes to them. A function
            `load_batch_func` is then called once. What it raises stands for that batch only.
        seed: for loading in processes, 0 to 2**31 - 1; `None` draws one, readable as
            `effective_seed`.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.

    Example::

        async with BatchLoader(paths, nb_workers=4, threaded=False, load=read_batch) as loader:
            async for batch in loader:
                ...
    """

    def __init__(
        self,
        load_batch_func: Any,
        queue_size: int = 50,
        nb_workers: int = 1,
        threaded: bool = True,
        *,
        load: Callable[[Any], Any] | None = None,
        seed: int | None = None,
    ) -> None:
        if not threaded:
            worker_main.refuse_nested_pool()
        super().__init__()
        self.queue = LoadedQueue(whole("queue_size", queue_size, low=2), self._claim)
        self.nb_workers = whole("nb_workers", nb_workers, low=1)
        self.threaded = threaded
        self.effective_seed = check_seed(seed)
        if load is not None and not callable(load):
            raise TypeError(f"load must be callable, got {load!r}")
        check_not_async("load", load)
        self._loaders = list(self._open(load_batch_func, load))
        self._alive = 0
        self._running: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[Any] | None] = set()

    def count_workers_alive(self) -> int:
        """The number of workers that are still loading."""
        return self._alive

    def all_finished(self) -> bool:
        """Whether loading has ended; the queue may still hold batches."""
        return self._over

    async def start(self) -> None:
        """Start all workers. Idempotent, and without effect after the end."""
        self._claim()
        if self._running is None and not self._over:
            self._alive = sum(loader.workers for loader in self._loaders)
            self._running = asyncio.create_task(self._run())

    async def get_batch(self) -> Any:
        """The next batch, or `None`, again and again, when there are no more."""
        await self.start()
        return await self.queue.get()

    async def terminate(self) -> None:
        """Stop all workers at once and drop what is in the queue; who waits gets `None`.

        Processes are killed; a thread that is in the middle of a batch is left to finish it.
        Idempotent. A source that ends its own loader is not waited for, and one that is busy with
        its own clean-up only for a short time if the call is cancelled.
        """
        self._claim()
        self._over, self._lost = True, False
        self.queue.end(drop=True)
        if acting() in self._working:
            return  # a source has called this; when it returns, `_pull` ends all workers
        if self._running is not None:
            self._running.cancel()
            await finish(ended((self._running,)), patience=PATIENCE)
        await self._home.buried()
        self._alive = 0
        self._home.release()

    def _open(self, batches: Any, load: Callable[[Any], Any] | None) -> Iterator[LoaderWorker]:
        if load is not None:
            source = called_here(batches) if callable(batches) else open_source(batches)
            if self.threaded:
                yield ThreadLoaderWorker(source, load, self.nb_workers)
            else:
                yield ProcessLoaderWorker(source, load, self.nb_workers, self.effective_seed)
        elif not callable(batches):
            if not self.threaded:
                raise TypeError(
                    "load_batch_func must be a function to be called in processes, "
                    f"got {type(batches).__name__}; only functions can go there"
                )
            yield LoaderWorker(open_source(batches))
        elif self.threaded:
            for _ in range(self.nb_workers):
                yield LoaderWorker(called_here(batches))
        else:
            if inspect.isasyncgenfunction(batches) or inspect.iscoroutinefunction(batches):
                raise TypeError("load_batch_func must not be async to be called in processes")
            for number in range(self.nb_workers):
                yield LoaderWorker(ProcessSource(batches, self.effective_seed, number))

    def _abandon(self) -> Iterable[Callable[[], object]]:
        if self._running is None or (self._running.done() and not self._running.cancelled()):
            return
        yield partial(drop_tasks, (self._running, *self._working))
        yield from [loader.abandon for loader in self._loaders]
        self._running = None
        self._alive = 0
        self.queue.abandon(ClosedError(LOST))

    async def _run(self) -> None:
        try:
            await together(self._work(loader) for loader in self._loaders)
        except Exception as error:  # of a source's own clean-up
            self.queue.put(Failure(error))
        finally:
            self._alive = 0
            self._over = True
            self.queue.end()

    async def _work(self, loader: LoaderWorker) -> None:
        """Load with one worker to its end. Errors go into the queue, as the batches do."""
        me = asyncio.current_task()
        self._working.add(me)
        places = asyncio.Semaphore(loader.concurrency)
        making: set[asyncio.Task[None]] = set()
        kill = True
        try:
            while (item := await self._pull(loader)) is not _END:
                if not loader.concurrency:
                    self.queue.put(Success(item))
                    continue
                await places.acquire()
                task = asyncio.create_task(self._make(loader, item))
                making.add(task)
                task.add_done_callback(making.discard)
                task.add_done_callback(lambda _: places.release())
            while making:
                await asyncio.wait(making)
            kill = False
        finally:
            for task in making:
                task.cancel()
            await finish(_close(loader, making, kill))
            self._working.discard(me)
            self._alive -= loader.workers

    async def _pull(self, loader: LoaderWorker) -> Any:
        """The next item, with a place in the queue for its batch."""
        await self.queue.reserve()
        try:
            (item,) = await loader.source.pull(1)
        except StopAsyncIteration:
            self.queue.cancel()
            item = _END
        except Exception as error:
            self.queue.put(Failure(error))
            item = _END
        if self._over:  # the source has called `terminate`, which did not cancel this task
            raise asyncio.CancelledError
        return item

    async def _make(self, loader: LoaderWorker, item: Any) -> None:
        try:
            self.queue.put(Success(await loader.make(item)))
        except Exception as error:
            self.queue.put(Failure(error))


async def _close(loader: LoaderWorker, making: set[asyncio.Task[None]], kill: bool) -> None:
    try:
        await loader.source.aclose()
    finally:
        await loader.aclose(kill=kill)
        await ended(making)
