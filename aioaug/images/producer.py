"""Produces the batches of a schedule: a pool, a stream, and the place where it is."""

from __future__ import annotations

import asyncio
from typing import Any

from .._aio.loops import LoopOwner
from .._aio.tasks import finish, in_thread
from ..errors import ClosedError
from ..pool import AsyncPool
from ..streams import BatchStream
from .maker import BatchMaker
from .sample_rows import MadeBatch
from .schedule import Schedule


class BatchProducer:
    """Makes the batches of a schedule, some of them ahead; lives on the loop that uses it first.

    When that is closed and it is used on another one, it goes on there with the next batch. `epoch`
    and `batch` say which one that is. At most `window` batches exist at once.
    """

    def __init__(
        self,
        schedule: Schedule,
        maker: BatchMaker,
        *,
        engine: Any,
        workers: int | None,
        window: int,
    ) -> None:
        self.schedule = schedule
        self.epoch = 0
        self.batch = 0
        self.seen = 0  # batches in all
        self.closed = False
        self.home = LoopOwner("ImageIterator")
        self._maker = maker
        self._engine = engine
        self._workers = workers
        self._window = window
        self._endless = not schedule.ends
        self._pool: AsyncPool | None = None
        self._stream: BatchStream | None = None
        self._walk: BatchStream | None = None  # batches asked for by number, in a row
        self._walk_next = 0
        self._touched = False
        self._stale = False
        self._turn = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether there are workers, on an event loop that is not closed."""
        return self.running and self.home.live

    @property
    def running(self) -> bool:
        """Whether there are workers."""
        return self._pool is not None

    def restart(self) -> None:
        """Have the next batch be the first of an epoch: the next one, if this one was begun."""
        if self.batch or self._touched:
            self.epoch += 1
        self.batch = 0
        self._touched = False
        self._stale = True

    async def next(self) -> MadeBatch | None:
        """The next batch; `None` once after the last one of an epoch that ends."""
        self._claim()
        async with self._turn:
            stream = await self._running_stream()
            try:
                made: MadeBatch = await anext(stream)
            except StopAsyncIteration:
                self._stream = None
                self._advance()
                return None
            except Exception:
                self._advance()
                await self._drop_streams()
                raise
            self._touched = True
            self.batch += 1
            self.seen += 1
            if self._endless and self.batch == len(self.schedule):
                self._advance()
            return made

    async def batch_at(self, number: int) -> MadeBatch:
        """The batch with this number of the current epoch."""
        self._claim()
        async with self._turn:
            await self._refresh()
            self._touched = True
            self.seen += 1
            if number != self._walk_next:
                await self._stop_walking()
                self._walk_next = number + 1
                job = await in_thread(self.schedule.job, self.epoch, number)
                made: MadeBatch = (await (await self._open_pool()).map_batches([job]))[0]
                return made
            if self._walk is None:
                self._walk = await self._open_stream(number, endless=False)
            try:
                made = await anext(self._walk)
            except Exception:
                await self._stop_walking()
                raise
            self._walk_next = number + 1
            if self._walk_next == len(self.schedule):
                await self._stop_walking()
            return made

    async def open(self) -> None:
        """Start the workers, if they are not there."""
        self._claim()
        async with self._turn:
            await self._open_pool()

    async def pause(self) -> None:
        """Let the workers go; the next request starts others, on any loop."""
        self._claim()
        async with self._turn:
            await finish(self._release(kill=False))

    async def aclose(self, *, kill: bool = False) -> None:
        """End for good. Idempotent; whoever waits for a batch gets `ClosedError`."""
        self._claim()
        self.closed = True
        await finish(self._release(kill=kill))

    def drop(self) -> bool:
        """Begin to end, from the `__del__` of its user; whether there is anything to end."""
        there = self.running and self.home.ours
        if there:
            for stream in (self._stream, self._walk):
                if stream is not None:
                    stream._drop()
            self._pool = self._stream = self._walk = None  # which ends with the last reference
        return there

    def _claim(self) -> None:
        """Belong to the running loop. A pool goes on there by itself, and streams do not."""
        if self.home.claim():
            self._turn = asyncio.Lock()
            self._stream, self._walk, self._walk_next = None, None, 0

    def _advance(self) -> None:
        self.epoch, self.batch, self._touched = self.epoch + 1, 0, False

    async def _running_stream(self) -> BatchStream:
        await self._refresh()
        if self._stream is None:
            self._stream = await self._open_stream(self.batch, endless=self._endless)
        return self._stream

    async def _open_stream(self, batch: int, *, endless: bool) -> BatchStream:
        jobs = self.schedule.jobs(self.epoch, batch, endless=endless)
        pool = await self._open_pool()
        return pool.imap_batches(jobs, output_buffer_size=self._window)

    async def _open_pool(self) -> AsyncPool:
        if self.closed:
            raise ClosedError("the iterator was shut down")
        if self._pool is None:
            self.schedule.started()
            pool = AsyncPool(self._maker, self._workers, seed=0, engine=self._engine)
            pool._mute()
            await pool.__aenter__()
            self._pool = pool
            if self.closed:  # meanwhile
                await finish(self._release(kill=True))
                raise ClosedError("the iterator was shut down")
        return self._pool

    async def _refresh(self) -> None:
        if self.closed:
            raise ClosedError("the iterator was shut down")
        if self._stale:
            self._stale = False
            await self._drop_streams()

    async def _stop_walking(self) -> None:
        walk, self._walk, self._walk_next = self._walk, None, 0
        if walk is not None:
            await walk.aclose()

    async def _drop_streams(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()
        await self._stop_walking()

    async def _release(self, *, kill: bool) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await (pool.terminate() if kill else pool.close())
        self.home.release()
        self._stream, self._walk, self._walk_next = None, None, 0
