"""Queues as sources of batches: they end with `None`, or when they are shut down."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Awaitable, Callable
from queue import Empty
from typing import Any, Protocol, Self

import anyio

# What `get` raises after `shutdown`, from Python 3.13 on, and what anyio's streams raise.
_OVER: tuple[type[Exception], ...] = tuple(
    getattr(module, name)
    for module, name in (
        (asyncio, "QueueShutDown"),
        (queue, "ShutDown"),
        (anyio, "EndOfStream"),
        (anyio, "ClosedResourceError"),
    )
    if hasattr(module, name)
)


class BlockingQueue(Protocol):
    """What the queues of `queue` and `multiprocessing` have in common."""

    def get(self) -> Any: ...

    def put(self, item: Any) -> None: ...


class UntilNone:
    """Iterates over what a coroutine function returns, until it returns `None`.

    It also ends where the queue says that nothing more will come.
    """

    def __init__(self, take: Callable[[], Awaitable[Any]]) -> None:
        self._take = take

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await self._take()
        except _OVER:
            raise StopAsyncIteration from None
        if item is None:
            raise StopAsyncIteration
        return item


class QueueIterator:
    """Iterates over what comes out of a blocking queue, until `None` comes or it is shut down.

    One thread iterates; `stop`, from another one, ends its wait.
    """

    def __init__(self, source: BlockingQueue) -> None:
        self._queue = source
        self._waiting = False
        self._stopped = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._waiting = True
        try:
            item = None if self._stopped else self._take()
        except _OVER:
            item = None
        self._waiting = False
        if item is None:
            raise StopIteration
        return item

    def stop(self) -> None:
        """Have the iteration end, also in the middle of a wait. Idempotent."""
        stopped, self._stopped = self._stopped, True
        if isinstance(self._queue, queue.Queue):
            with self._queue.not_empty:
                self._queue.not_empty.notify_all()
        elif self._waiting and not stopped:
            self._queue.put(None)  # other queues can only be woken up by an item

    def _take(self) -> Any:
        if not isinstance(self._queue, queue.Queue):
            return self._queue.get()
        # Unlike `get`, this can be told to stop, and takes nothing then that nobody would use.
        while True:
            with self._queue.not_empty:
                self._queue.not_empty.wait_for(self._may_go_on)
            if self._stopped:
                return None
            try:
                return self._queue.get_nowait()
            except Empty:  # somebody else took it
                continue

    def _may_go_on(self) -> bool:
        source: Any = self._queue
        return self._stopped or source._qsize() > 0 or getattr(source, "is_shutdown", False)
