"""Sources of batches: one way to ask for the next, whatever holds them.

A `collections.abc.Sequence` is read by number: where only some of its batches are wanted, the
others are not read. A sequence without end raises `TypeError` in `__len__`.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import warnings
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from itertools import count, islice
from typing import Any, NoReturn, Protocol

from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectReceiveStream

from .._aio.tasks import end_in_thread
from .._base.threads import DaemonExecutor, set_end
from .queues import QueueIterator, UntilNone

# How long the end of a stream waits for a loader that is in the middle of a batch, in seconds.
PATIENCE = 0.5


class BatchSource(Protocol):
    """Batches one after the other. `pull` and `aclose` are called from the same task.

    `start` is the position of the first one, among those of the shard.
    """

    start: int = 0

    async def pull(self, limit: int) -> list[Any]:
        """The next batch, and those after it that are there already.

        The source may go on to fetch until `limit` batches are there or returned by this call.
        Raises `StopAsyncIteration` after the last.
        """

    async def aclose(self) -> None:
        """Release what the source holds: a generator's `finally` runs now."""

    def abandon(self) -> None:
        """The same from any thread, when the event loop is closed; nothing can be awaited."""
        return


def open_source(
    batches: Any,
    shard: tuple[int, int] = (0, 1),
    *,
    start: int = 0,
    unwanted: Collection[int] = (),
) -> BatchSource:
    """The source behind a list, an iterable or iterator of either kind, a generator or a queue.

    With a `shard`, `(rank, world_size)`, only every `world_size`-th batch comes out of it. A
    sequence begins at the position `start`, and gives `None` at those that are `unwanted`; all
    other sources begin at 0 and give all.
    """
    by_number = isinstance(batches, Sequence) and not _is_no_source(batches)
    if by_number and (start or unwanted or shard != (0, 1)):
        part = SequencePart(batches, shard, start, unwanted)
        source = _ListSource(part) if isinstance(batches, (list, tuple)) else _ThreadSource(part)
        source.start = start
        return source
    rank, world_size = shard
    return _open(batches) if world_size == 1 else ShardedSource(_open(batches), rank, world_size)


def _is_no_source(batches: Any) -> bool:
    # These can be iterated, but what comes out is never what was meant.
    return isinstance(batches, (str, bytes, dict)) or hasattr(batches, "dtype")


def _open(batches: Any) -> BatchSource:
    if isinstance(batches, (list, tuple)):
        return _ListSource(batches)
    if isinstance(batches, MemoryObjectReceiveStream):
        return _AsyncSource(UntilNone(batches.receive), close=batches.aclose)
    if isinstance(batches, AsyncIterable):
        return _AsyncSource(batches)
    if isinstance(batches, Iterable) and not _is_no_source(batches):
        return _ThreadSource(batches)
    if hasattr(batches, "get") and hasattr(batches, "put"):
        if inspect.iscoroutinefunction(batches.get):
            return _AsyncSource(UntilNone(batches.get))
        return _ThreadSource(QueueIterator(batches))
    raise TypeError(
        "batches must be a list, an iterable, a generator, an async generator or a queue of "
        f"batches, got {type(batches).__name__}"
    )


class SequencePart:
    """Those batches of a sequence that are a rank's, from a position on.

    Nothing else of the sequence is read. As from a `ShardedSource`, no rank gets more batches than
    the others: a last group that is short is left out.
    """

    def __init__(
        self,
        batches: Sequence[Any],
        shard: tuple[int, int],
        start: int,
        unwanted: Collection[int],
    ) -> None:
        self._batches = batches
        self._shard = shard
        self._start = start
        self._unwanted = unwanted

    def __iter__(self) -> Iterator[Any]:
        rank, world_size = self._shard
        for position in count(self._start):
            if not self._has((position + 1) * world_size):
                return
            wanted = position not in self._unwanted
            yield self._batches[position * world_size + rank] if wanted else None

    def _has(self, number: int) -> bool:
        try:
            return len(self._batches) >= number
        except TypeError:  # it has no end
            return True


class ShardedSource(BatchSource):
    """One batch out of every `world_size` of another source.

    A last group that is short is left out, so every rank gets the same number of batches. A rank
    reads its whole group before it hands out its own, and holds no more than that one meanwhile.
    """

    def __init__(self, source: BatchSource, rank: int, world_size: int) -> None:
        self._source = source
        self._rank = rank
        self._world_size = world_size
        self._seen = 0
        self._own: list[Any] = []

    async def pull(self, limit: int) -> list[Any]:
        ready: list[Any] = []
        while not ready:
            for batch in await self._source.pull(limit):
                place, self._seen = self._seen % self._world_size, self._seen + 1
                if place == self._rank:
                    self._own.append(batch)
                if place == self._world_size - 1:
                    ready += self._own
                    self._own = []
        return ready

    async def aclose(self) -> None:
        await self._source.aclose()

    def abandon(self) -> None:
        self._source.abandon()


class _ListSource(BatchSource):
    """What is in memory already needs no thread."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = iter(batches)

    async def pull(self, limit: int) -> list[Any]:
        await checkpoint()
        return list(islice(self._batches, limit)) or _end()

    async def aclose(self) -> None:
        self._batches = iter(())

    def abandon(self) -> None:
        self._batches = iter(())


class _AsyncSource(BatchSource):
    """An async iterable; one that never waits still lets other tasks have their turn.

    The end of the source is `close`, by default the iterator's own.
    """

    def __init__(
        self, batches: AsyncIterable[Any], close: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self._batches = batches
        self._iterator: AsyncIterator[Any] | None = None
        self._close = close

    async def pull(self, limit: int) -> list[Any]:
        await checkpoint()
        if self._iterator is None:
            self._iterator = aiter(self._batches)
        return [await anext(self._iterator)]

    async def aclose(self) -> None:
        close = self._close or getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()

    def abandon(self) -> None:
        self._iterator = None  # what an async generator has to clean up needs its loop


class _ThreadSource(BatchSource):
    """A blocking iterable, pulled in one thread of its own, so that a slow loader stalls nobody.

    The same thread also closes it: generators may hold things that belong to their thread.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches
        self._iterator: Iterator[Any] | None = None
        self._thread = DaemonExecutor(1, "aioaug-source")
        self._lock = threading.Lock()
        self._ready: deque[Any] = deque()
        self._allowed = 0  # how many batches may have been fetched in all
        self._fetched = 0
        self._returned = 0
        self._fetching = False
        self._begun = False
        self._over: BaseException | None = None
        self._end: Future[None] = Future()
        self._hungry = False
        self._news = asyncio.Event()

    async def pull(self, limit: int) -> list[Any]:
        with self._lock:
            self._allowed = self._returned + limit
            begin = not self._fetching and self._over is None and self._fetched < self._allowed
            self._fetching = self._fetching or begin
        if begin:
            self._thread.submit(self._fetch, asyncio.get_running_loop())
            self._begun = True
        while not self._ready:
            if self._over is not None:
                raise self._over
            self._news.clear()
            self._hungry = True
            # The thread may have come between the look and the word; then there is no need to wait.
            if not self._ready and self._over is None:
                await self._news.wait()
        batches = [self._ready.popleft() for _ in range(len(self._ready))]
        self._returned += len(batches)
        return batches

    async def aclose(self) -> None:
        self._give_up()
        if not self._begun:
            return  # there is neither a generator to close nor a thread to do it
        if isinstance(self._batches, QueueIterator):
            await end_in_thread(self._batches.stop)
        closing = asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)
        await asyncio.wait((closing,), timeout=PATIENCE)
        if closing.done():
            closing.result()
            return
        closing.add_done_callback(_forget)
        warnings.warn(
            f"a batch source is still busy after {PATIENCE} s; it is closed when it returns",
            ResourceWarning,
            stacklevel=2,
        )

    def abandon(self) -> None:
        self._give_up()
        if self._begun:
            if isinstance(self._batches, QueueIterator):
                self._batches.stop()
            with suppress(RuntimeError):  # it was closed already
                self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    def _give_up(self) -> None:
        self._over = StopAsyncIteration()  # one that was raised refers to the stream
        with suppress(InvalidStateError):  # it was closed before
            self._end.set_result(None)

    def _fetch(self, loop: asyncio.AbstractEventLoop) -> None:
        set_end(self._end)
        while self._may_fetch():
            try:
                if self._iterator is None:
                    self._iterator = iter(self._batches)
                self._ready.append(next(self._iterator))
            except StopIteration:
                self._over = StopAsyncIteration()
            except BaseException as error:
                self._over = error
            if self._hungry:
                self._hungry = False
                with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                    loop.call_soon_threadsafe(self._news.set)

    def _may_fetch(self) -> bool:
        with self._lock:
            self._fetching = self._over is None and self._fetched < self._allowed
            self._fetched += self._fetching
            return self._fetching

    def _close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


def _forget(future: asyncio.Future[Any]) -> None:
    with suppress(BaseException):
        future.result()


def _end() -> NoReturn:
    raise StopAsyncIteration
