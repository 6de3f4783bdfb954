"""What happens to a stream whose reader is slower: it waits, or frames are dropped and counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Literal

import anyio.lowlevel

from .._aio.tasks import AsyncBatches, ended, finish
from .._base.arguments import check_async_iterator, one_of, whole
from .._base.results import Failure, Outcome, Success
from ..errors import ClosedError

Overflow = Literal["block", "drop_oldest", "latest"]
OVERFLOWS: tuple[Overflow, ...] = ("block", "drop_oldest", "latest")


class FrameQueue:
    """Items between one who makes them and one who takes them, which is full at some point.

    With `"block"` the maker waits then; with `"drop_oldest"` the oldest is dropped, and with
    `"latest"` all but the newest, as if there were room for one.
    """

    def __init__(self, overflow: Overflow, size: int) -> None:
        self.overflow = one_of("overflow", overflow, OVERFLOWS)
        self.size = 1 if overflow == "latest" else whole("size", size, low=1)
        self.dropped = 0
        self._items: deque[Outcome[Any]] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    async def put(self, item: Outcome[Any]) -> None:
        """Add an item, or drop it if the queue has ended; with `"block"`, wait for room first."""
        while self.overflow == "block" and len(self._items) >= self.size and not self._ended:
            await self._change()
        if self._ended:
            return
        if len(self._items) >= self.size:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._changed.set()

    async def take(self) -> Any:
        """The next item, or what was raised in its place; `StopAsyncIteration` after the last."""
        while not self._items:
            if self._ended:
                raise StopAsyncIteration
            await self._change()
        item = self._items.popleft()
        self._changed.set()
        return item.unwrap()

    def end(self, *, now: bool = False) -> None:
        """Nothing more comes; with `now`, what is there is not given out either."""
        self._ended = True
        if now:
            self._items.clear()
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class OverflowStream(AsyncBatches):
    """A stream for a reader who may be slower than it is.

    With `overflow="block"` each batch is taken from the stream when it is asked for, so the stream
    waits. With `"drop_oldest"` a task takes them as they come, and keeps the newest `size` ones;
    with `"latest"` the newest one. `dropped` counts the others. Use these two for live pictures,
    whose source sets the pace: one that is endless and quick keeps the workers busy with what
    nobody sees.

    What a batch raises is raised in its place. One task may read it. `aclose` ends the task and
    the stream, is idempotent, and does so when it is cancelled, too.

    Example::

        async with OverflowStream(pool.imap_batches(camera()), "latest") as stream:
            async for batch in stream:
                await show(batch)
    """

    def __init__(
        self, stream: AsyncIterator[Any], overflow: Overflow = "block", size: int = 8
    ) -> None:
        check_async_iterator("stream", stream)
        self._queue = FrameQueue(overflow, size)
        self._stream = stream
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many batches were dropped so far."""
        return self._queue.dropped

    async def __anext__(self) -> Any:
        if self._closed:
            raise StopAsyncIteration
        if self._queue.overflow == "block":
            return await anext(self._stream)
        if self._reader is None:
            self._reader = asyncio.create_task(feed(self._stream, self._queue.put, self._queue.end))
        return await self._queue.take()

    async def aclose(self) -> None:
        """End the stream now."""
        self._closed = True
        self._queue.end(now=True)
        await finish(self._end())

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()

    async def _end(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await ended((self._reader,))
        await close_stream(self._stream)


async def feed(stream: AsyncIterator[Any], put: Any, end: Any) -> None:
    """Take from a stream until its end, and put everything, errors in their places, elsewhere."""
    try:
        while True:
            try:
                item: Outcome[Any] = Success(await anext(stream))
            except StopAsyncIteration:
                return
            except Exception as error:
                item = Failure(error)
            await put(item)
            # A stream whose batches are all there would leave no turn to anybody else.
            await anyio.lowlevel.checkpoint()
            if isinstance(item, Failure) and not _goes_on(stream, item.error):
                return
    finally:
        end()


def _goes_on(stream: object, error: BaseException) -> bool:
    """Whether there may be more after an error: other iterators may raise it for ever."""
    return isinstance(stream, AsyncBatches) and not isinstance(error, ClosedError)


async def close_stream(stream: Any) -> None:
    """End a stream, if it can be ended."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
