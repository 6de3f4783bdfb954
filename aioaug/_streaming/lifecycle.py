"""The life of a pool: started once, closed or terminated, with nothing left behind."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Self

from .._aio.loops import LoopOwner, drop_tasks
from .._aio.tasks import AsyncResource, acting, deputy, finish, warn_of_drop
from ..engines import Engine
from ..errors import ClosedError
from .pipeline import StreamPipeline
from .sources import PATIENCE


class PoolPhase(Enum):
    """Where in its life a pool is."""

    NEW = "new"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class PoolLifecycle(AsyncResource):
    """An engine and the pipelines that run on it, ended together.

    `_streams` end when the pool is closed; `_lists` are waited for, `_futures` being the tasks
    that wait for some of them. All live on one event loop; when that is closed and the pool is
    used on another one, it goes on there with a new engine from `make_engine`.
    """

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._make_engine = make_engine
        self._engine = make_engine()
        self._home = LoopOwner(type(self).__name__)
        self._streams: weakref.WeakSet[StreamPipeline] = weakref.WeakSet()
        self._lists: weakref.WeakSet[StreamPipeline] = weakref.WeakSet()
        self._futures: set[asyncio.Task[list[Any]]] = set()
        self._phase = PoolPhase.NEW
        self._ending: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    async def close(self) -> None:
        """End in good order: streams end now, calls of `map_batches` are waited for.

        A stream's consumer gets `ClosedError`. So does a call of `map_batches` out of whose own
        `on_error` the pool is closed; nobody waits for itself. Idempotent. When cancelled, it
        terminates.
        """
        if self._phase is PoolPhase.CLOSED:
            return
        self._claim()
        self._phase = PoolPhase.CLOSING
        error, me = ClosedError("the pool was closed"), acting()
        ends = [
            work.ended.wait() if work in self._lists and not work.holds(me) else work.close(error)
            for work in self._pipelines()
        ]
        try:
            await asyncio.gather(*map(deputy, ends))
            await self._engine.aclose()
        except BaseException:
            await self.terminate()
            raise
        await finish(self._end(kill=False))

    async def terminate(self) -> None:
        """End at once: workers are killed, whatever they do; it takes about a second at most.

        Whoever waits for a batch or a list gets `ClosedError`, and the futures of
        `map_batches_async` are cancelled. Idempotent; when cancelled, it finishes first.
        """
        if self._phase is not PoolPhase.CLOSED:
            self._claim()
            self._stop_all()
            await finish(self._end(kill=True))

    async def join(self) -> None:
        """Wait until all workers are gone; `ValueError` before `close` or `terminate`."""
        if self._phase is PoolPhase.OPEN:
            raise ValueError("join() needs close() or terminate() first: the pool is still running")
        if self._phase is PoolPhase.CLOSING:
            self._claim()
            await self._ended.wait()

    def stop(self) -> None:
        """Begin to terminate without waiting for it, as from a signal handler of the loop."""
        if self._phase is not PoolPhase.CLOSED:
            self._claim()
            self._stop_all()
            self._ending = asyncio.ensure_future(self._end(kill=True))

    def _stop_all(self) -> None:
        self._phase = PoolPhase.CLOSING
        for future in tuple(self._futures):
            future.cancel()
        for pipeline in self._pipelines():
            pipeline.stop(ClosedError("the pool was terminated"))

    async def __aenter__(self) -> Self:
        self._check_open()
        self._claim()
        if self._phase is not PoolPhase.NEW:
            raise RuntimeError("the pool was started already, so it cannot be entered")
        try:
            await self._begin()
        except BaseException:
            await self.terminate()
            raise
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await (self.close() if error is None else self.terminate())

    def __del__(self) -> None:
        if getattr(self, "_phase", None) is PoolPhase.OPEN and self._home.ours:
            warn_of_drop(self, "'async with' or close()")

    async def _begin(self) -> None:
        """Have the engine there, as the first thing that whoever has work for it does."""
        if self._phase is PoolPhase.NEW:
            self._phase = PoolPhase.OPEN
        await self._home.buried()
        await self._engine.start()

    def _claim(self) -> None:
        """Belong to the running loop; if the loop before is closed, start anew on this one."""
        if not self._home.claim():
            return
        left = [end for pipeline in self._pipelines() for end in pipeline.abandon()]
        futures, self._futures = self._futures, set()
        self._home.bury(partial(drop_tasks, (*futures, self._ending)), *left, self._engine.abandon)
        meter, self._engine = self._engine.meter, self._make_engine()
        self._engine.meter = meter
        self._ended = asyncio.Event()
        if self._phase is PoolPhase.CLOSING:
            self.stop()
        elif self._phase is PoolPhase.OPEN:
            self._phase = PoolPhase.NEW

    def _pipelines(self) -> tuple[StreamPipeline, ...]:
        return (*self._streams, *self._lists)

    async def _end(self, *, kill: bool) -> None:
        try:
            await self._engine.aclose(kill=kill)
            error = ClosedError("the pool was closed")
            ends = [deputy(pipeline.close(error)) for pipeline in self._pipelines()]
            if ends:
                # A source's own clean-up may take as long as it likes, but not when time presses.
                ended, _ = await asyncio.wait(ends, timeout=PATIENCE if kill else None)
                for end in ended:
                    end.result()
            await self._home.buried()
        finally:
            self._phase = PoolPhase.CLOSED
            self._home.release()
            self._ended.set()

    def _check_open(self) -> None:
        self._home.check_process()
        if self._phase in (PoolPhase.CLOSING, PoolPhase.CLOSED):
            raise ClosedError("the pool is closed")
