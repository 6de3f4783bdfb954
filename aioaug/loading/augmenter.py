"""Batches augmented ahead, out of a loader or a queue."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from .._aio.tasks import drop_tasks, ended, finish
from .._base.arguments import whole
from .._base.system import worker_count
from .._streaming.queues import QueueIterator, UntilNone
from ..pool import AsyncPool
from .base import BackgroundIterator
from .loader import BatchLoader


class BackgroundAugmenter(BackgroundIterator):
    """Augments the batches of a loader or a queue in the background, up to a number ahead.

    Building it starts nothing; entering it, `start` or the first request starts the workers.
    Batches come as they are ready, by `async for` or `get_batch`. What the loader or the
    augmenter raises reaches the consumer: an augmenter's error stands for its batch only, a
    loader's ends the rest.

    Args:
        batch_loader: a `BatchLoader`, an `asyncio.Queue` or a queue of `multiprocessing` or
            `queue`, in each of which `None` says that no more batches follow; or any source that
            `AsyncPool.imap_batches` takes. It is the caller's to end.
        augseq: an imgaug augmenter, or a callable.
        queue_size: the most batches under way or ready, at least 1.
        nb_workers: the number of worker processes, at least 1; `"auto"` is one for each CPU but
            one.
        load: makes a batch of what comes from `batch_loader`, such as a file's name or an index,
            in the worker that augments it; as that of `AsyncPool`, it may be async.
        options: those of `AsyncPool`, such as `seed` and `engine`.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.
        RuntimeError: it is built inside a worker.

    Example::

        async with BatchLoader(load_batches) as loader:
            async with BackgroundAugmenter(loader, augmenter, seed=1) as background:
                while (batch := await background.get_batch()) is not None:
                    ...
    """

    def __init__(
        self,
        batch_loader: Any,
        augseq: Any,
        queue_size: int = 50,
        nb_workers: int | str = "auto",
        *,
        load: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        self.queue_size = whole("queue_size", queue_size, low=1)
        if nb_workers == "auto":
            self.nb_workers = worker_count(-1)
        elif isinstance(nb_workers, str):
            raise ValueError(f"nb_workers must be 'auto' or a number, got {nb_workers!r}")
        else:
            self.nb_workers = whole("nb_workers", nb_workers, low=1)
        batches = open_input(batch_loader)
        self._pool = AsyncPool(augseq, self.nb_workers, load=load, **options)
        self._stream = self._pool.owned_stream(batches, self.queue_size, ordered=False)
        self._next: asyncio.Task[Any] | None = None
        self._starting = asyncio.Lock()
        self._turn = asyncio.Lock()
        super().__init__()

    @property
    def effective_seed(self) -> int:
        """The seed of the batches, the one that was drawn if none was given."""
        return self._pool.effective_seed

    def all_finished(self) -> bool:
        """Whether the last batch has been taken, and its end seen; or it was terminated."""
        return self._over

    async def start(self) -> None:
        """Start the workers, which begin at once. Idempotent, and without effect after the end."""
        self._check()
        async with self._starting:
            if self._next is None and not self._over:
                try:
                    await self._pool.__aenter__()
                except BaseException:
                    await self.terminate()
                    raise
                self._ask()

    async def get_batch(self) -> Any:
        """The next augmented batch, or `None`, again and again, when there are no more.

        Cancelled, it loses nothing.
        """
        await self.start()
        async with self._turn:
            if self._over or self._next is None:
                return None
            current = self._next
            await asyncio.wait((current,))
            if self._over:
                return None
            try:
                batch = current.result()
            except StopAsyncIteration:
                await self.terminate()
                return None
            except BaseException:
                self._ask()
                raise
            self._ask()
            return batch

    async def terminate(self) -> None:
        """Kill the workers and drop all batches; whoever waits gets `None`.

        Idempotent; cancelled, it finishes first.
        """
        self._claim()
        self._over, self._lost = True, False
        await finish(self._end())

    def _at_work(self) -> bool:
        return self._next is not None

    def _abandon(self) -> Iterable[Callable[[], object]]:
        self._starting, self._turn = asyncio.Lock(), asyncio.Lock()
        if self._next is not None and not self._over:
            yield partial(drop_tasks, (self._next,))
        self._next = None

    def _drop(self) -> None:
        self._stream._drop()
        super()._drop()

    def _ask(self) -> None:
        # The stream starts with the first request, and the batch that it returned takes one of the
        # places until the next one. So a request is always under way.
        self._next = asyncio.create_task(self._stream.__anext__())
        self._next.add_done_callback(_look_at)

    async def _end(self) -> None:
        await self._pool.terminate()
        if self._next is not None:
            await ended((self._next,))
        await self._home.cleaned_up()
        self._home.release()


def _look_at(task: asyncio.Task[Any]) -> None:
    """Look at an exception, so that asyncio does not report it if nobody asks for it."""
    if not task.cancelled():
        task.exception()


class PickledQueueIterator(QueueIterator):
    """The same for a queue whose batches may come pickled, as from imgaug's own loader."""

    def _take(self) -> Any:
        item = super()._take()
        return pickle.loads(item) if isinstance(item, bytes) else item


def open_input(source: Any) -> Any:
    """Something to iterate over, of either kind, for a loader, a queue or an iterable."""
    if isinstance(source, BatchLoader):
        return UntilNone(source.get_batch)  # the loader itself would be ended with the stream
    if hasattr(source, "get") and hasattr(source, "put"):
        takes = inspect.iscoroutinefunction(source.get)
        return UntilNone(source.get) if takes else PickledQueueIterator(source)
    queue = getattr(source, "queue", None)  # of imgaug's own BatchLoader
    return source if queue is None else open_input(queue)
