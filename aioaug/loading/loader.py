"""Batches loaded ahead, by some workers at once."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .._base.arguments import check_not_async, whole
from .._base.seeding import check_seed
from .._streaming.sources import open_source
from .._worker import main as worker_main
from ..errors import ClosedError
from .base import LOST, BackgroundIterator
from .loaded_queue import LoadedQueue
from .loader_run import LoaderRun
from .workers import (
    LoaderWorker,
    ProcessLoaderWorker,
    ProcessSource,
    ThreadLoaderWorker,
    called_here,
)


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
        self.queue = LoadedQueue(whole("queue_size", queue_size, low=2), _claim_of(self))
        self.nb_workers = whole("nb_workers", nb_workers, low=1)
        self.threaded = threaded
        self.effective_seed = check_seed(seed)
        if load is not None and not callable(load):
            raise TypeError(f"load must be callable, got {load!r}")
        check_not_async("load", load)
        self._run = LoaderRun(list(self._open(load_batch_func, load)), self.queue)
        super().__init__()

    def count_workers_alive(self) -> int:
        """The number of workers that are still loading."""
        return self._run.alive

    def all_finished(self) -> bool:
        """Whether loading has ended; the queue may still hold batches."""
        return self._over

    async def start(self) -> None:
        """Start all workers. Idempotent, and without effect after the end."""
        self._claim()
        self._run.begin()

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
        self._lost = False
        if await self._run.end():
            await self._home.cleaned_up()
            self._home.release()

    @property
    def _over(self) -> bool:
        return self._run.over

    @_over.setter
    def _over(self, over: bool) -> None:
        self._run.over = over

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
        ends = self._run.abandon()
        if ends:
            self.queue.abandon(ClosedError(LOST))
        return ends

    def _at_work(self) -> bool:
        return self._run.begun

    def _drop(self) -> None:
        self._home.end_dropped(self._run.cancel, self._run.abandon)


def _claim_of(loader: BatchLoader) -> Callable[[], None]:
    """The loader's check of who uses its queue; the queue does not keep the loader alive by it."""
    reference = weakref.ref(loader)

    def claim() -> None:
        owner = reference()
        if owner is not None:
            owner._claim()

    return claim
