"""What a `BackgroundAugmenter` takes its batches from: loaders, queues and iterables."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Self

from .._aio.tasks import end_in_thread
from .loaded_queue import LoadedQueue
from .loader import BatchLoader


class _Queue(Protocol):
    """What all queues of the standard library have in common."""

    def get(self) -> Any: ...

    def put(self, item: Any) -> None: ...


class UntilNone:
    """Iterates over what a call returns, until it returns `None`."""

    def __init__(self, take: Callable[[], Awaitable[Any]]) -> None:
        self._take = take

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        item = await self._take()
        if item is None:
            raise StopAsyncIteration
        return item


class QueueIterator:
    """Iterates over what comes out of a blocking queue, until `None` comes.

    As from imgaug's own loader, batches may come pickled.
    """

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self._waiting = False
        self._stopped = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._waiting = True
        if self._stopped:
            raise StopIteration
        item = self._queue.get()
        self._waiting = False
        if isinstance(item, bytes):
            item = pickle.loads(item)
        if item is None:
            raise StopIteration
        return item

    async def stop(self) -> None:
        """Let go of the thread that waits for the queue, by the very word that ends it."""
        self._stopped = True
        if self._waiting:
            await end_in_thread(self._queue.put, None)


def open_input(source: Any) -> Any:
    """Something to iterate over, of either kind, for a loader, a queue or an iterable."""
    if isinstance(source, BatchLoader):
        return UntilNone(source.get_batch)
    if isinstance(source, (asyncio.Queue, LoadedQueue)):
        return UntilNone(source.get)
    if hasattr(source, "get") and hasattr(source, "put"):
        return QueueIterator(source)
    queue = getattr(source, "queue", None)  # of imgaug's own BatchLoader
    return source if queue is None else open_input(queue)
