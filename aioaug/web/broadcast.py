"""`Broadcast`: one stream, many clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

from .._aio.tasks import AsyncBatches, AsyncResource, ended, finish
from .._base.arguments import check_async_iterator
from .._base.results import Outcome
from ..errors import ClosedError
from .overflow import FrameQueue, Overflow, close_stream, feed


class Broadcast(AsyncResource):
    """Gives the batches of one stream to any number of subscribers.

    Nothing is taken from the stream while there is no subscriber. Each one gets the batches from
    its subscription on, and has a buffer of its own; `overflow` says what happens when it is full:
    with `"block"` all wait for the slowest one, with `"drop_oldest"` and `"latest"` it misses some,
    see `OverflowStream`. A batch is one object for all, which they must not change.

    What the stream raises is raised to each of them. After its end, subscriptions end. Leaving the
    block ends them and the stream; so does `aclose`, which is idempotent.

    Example::

        async with Broadcast(pool.imap_batches(camera())) as pictures:
            response = StreamingBatches(pictures.subscribe("latest"))
    """

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        check_async_iterator("stream", stream)
        self._stream = stream
        self._subscriptions: set[Subscription] = set()
        self._wanted = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def subscribers(self) -> int:
        """How many there are now."""
        return len(self._subscriptions)

    def subscribe(self, overflow: Overflow = "latest", size: int = 8) -> Subscription:
        """A stream of the batches from now on; leave it by `async with`, or call its `aclose`.

        Raises `ClosedError` after the end of the broadcast.
        """
        if self._closed:
            raise ClosedError("this Broadcast has ended; nothing more comes from its stream")
        subscription = Subscription(self, overflow, size)
        self._subscriptions.add(subscription)
        self._wanted.set()
        if self._reader is None:
            self._reader = asyncio.create_task(feed(self._stream, self._put, self._end_all))
        return subscription

    async def aclose(self) -> None:
        """End all subscriptions and the stream. When it is cancelled it does so first."""
        await finish(self._close())

    async def __aenter__(self) -> Self:
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()

    def _forget(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        if not self._subscriptions:
            self._wanted.clear()

    async def _put(self, item: Outcome[Any]) -> None:
        for subscription in tuple(self._subscriptions):
            await subscription.queue.put(item)
        await self._wanted.wait()

    def _end_all(self) -> None:
        self._closed = True
        for subscription in self._subscriptions:
            subscription.queue.end()

    async def _close(self) -> None:
        self._end_all()
        if self._reader is not None:
            self._reader.cancel()
            await ended((self._reader,))
        await close_stream(self._stream)


class Subscription(AsyncBatches):
    """The batches of a `Broadcast` for one client. `dropped` counts those that it missed."""

    def __init__(self, broadcast: Broadcast, overflow: Overflow, size: int) -> None:
        self.queue = FrameQueue(overflow, size)
        self._broadcast = broadcast

    @property
    def dropped(self) -> int:
        """How many batches this client missed because it was slow."""
        return self.queue.dropped

    async def __anext__(self) -> Any:
        return await self.queue.take()

    async def aclose(self) -> None:
        """End this subscription; the others go on. Idempotent."""
        self.queue.end(now=True)
        self._broadcast._forget(self)

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()
