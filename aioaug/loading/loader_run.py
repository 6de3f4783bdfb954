"""The workers of a loader at work, from their start to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .._aio.tasks import acting, drop_tasks, ended, finish, together
from .._base.results import Failure, Success
from .._streaming.sources import PATIENCE
from .loaded_queue import LoadedQueue
from .workers import LoaderWorker

_END = object()


class LoaderRun:
    """Has workers fill a queue. Nothing in here refers to the loader: one that is dropped ends."""

    def __init__(self, loaders: Sequence[LoaderWorker], queue: LoadedQueue) -> None:
        self.alive = 0  # workers that are still loading
        self.over = False
        self._loaders = loaders
        self._queue = queue
        self._running: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[Any] | None] = set()

    @property
    def begun(self) -> bool:
        """Whether it was started, on a loop that is not closed."""
        return self._running is not None

    def begin(self) -> None:
        """Start all workers. Idempotent, and without effect after the end."""
        if self._running is None and not self.over:
            self.alive = sum(loader.workers for loader in self._loaders)
            self._running = asyncio.create_task(self._run())

    def cancel(self) -> None:
        """Begin to end, from a callback of the loop."""
        if self._running is not None:
            self._running.cancel()

    async def end(self) -> bool:
        """End all workers, and drop what they loaded.

        A source that calls this is not waited for; then, `False` is returned.
        """
        self.over = True
        self._queue.end(drop=True)
        if acting() in self._working:
            return False  # when it returns, `_pull` ends all workers
        if self._running is not None:
            self._running.cancel()
            await finish(ended((self._running,)), patience=PATIENCE)
        self.alive = 0
        return True

    def abandon(self) -> list[Callable[[], object]]:
        """End it after its loop was closed. Returns what is left to do in a thread, if anything."""
        running, self._running = self._running, None
        if running is None or (running.done() and not running.cancelled()):
            return []
        self.alive = 0
        tasks = partial(drop_tasks, (running, *self._working))
        return [tasks, *(loader.abandon for loader in self._loaders)]

    async def _run(self) -> None:
        try:
            await together(self._work(loader) for loader in self._loaders)
        except Exception as error:  # of a source's own clean-up
            self._queue.put(Failure(error))
        finally:
            self.alive = 0
            self.over = True
            self._queue.end()

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
                    self._queue.put(Success(item))
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
            self.alive -= loader.workers

    async def _pull(self, loader: LoaderWorker) -> Any:
        """The next item, with a place in the queue for its batch."""
        await self._queue.reserve()
        try:
            (item,) = await loader.source.pull(1)
        except StopAsyncIteration:
            self._queue.cancel()
            item = _END
        except Exception as error:
            self._queue.put(Failure(error))
            item = _END
        if self.over:  # the source has called `terminate`, which did not cancel this task
            raise asyncio.CancelledError
        return item

    async def _make(self, loader: LoaderWorker, item: Any) -> None:
        try:
            self._queue.put(Success(await loader.make(item)))
        except Exception as error:
            self._queue.put(Failure(error))


async def _close(loader: LoaderWorker, making: set[asyncio.Task[None]], kill: bool) -> None:
    try:
        await loader.source.aclose()
    finally:
        await loader.aclose(kill=kill)
        await ended(making)
