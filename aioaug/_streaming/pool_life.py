"""The life of a pool: started once, closed or terminated, with nothing left behind."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from .._aio.loops import LoopOwner
from .._aio.tasks import (
    Visitors,
    acting,
    deputy,
    drop_tasks,
    end_aside,
    finish,
    together,
    warn_of_drop,
)
from ..engines import Engine
from ..errors import ClosedError
from .sources import PATIENCE
from .stream_core import StreamCore

T = TypeVar("T")


class PoolPhase(Enum):
    """Where in its life a pool is."""

    NEW = "new"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class PoolLife:
    """An engine and the streams that run on it, ended together.

    `streams` end when the pool is closed; `lists` are waited for, `futures` being the tasks that
    wait for some of them, and so are `visitors`, the tasks that wait for single batches. All live
    on one event loop; when that is closed and the pool is used on another one, it goes on there
    with a new engine from `make_engine`. What it refers to does not refer to it, but streams and
    the pool do. When they have all been dropped while it was open, it has the engine ended and
    warns, under the `name` of the pool's class; `None` is for a pool of something that warns
    itself.
    """

    def __init__(self, name: str, make_engine: Callable[[], Engine]) -> None:
        self.name: str | None = name
        self.engine = make_engine()
        self.phase = PoolPhase.NEW
        self.started = False  # the engine is there
        self.streams: weakref.WeakSet[StreamCore] = weakref.WeakSet()
        self.lists: weakref.WeakSet[StreamCore] = weakref.WeakSet()
        self.futures: set[asyncio.Task[list[Any]]] = set()
        self.visitors = Visitors()
        # Each with the visitor that it works for.
        self._helpers: dict[asyncio.Task[Any], asyncio.Task[Any] | None] = {}
        self._make_engine = make_engine
        self._home = LoopOwner(name)
        self._ending: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    def check_open(self) -> None:
        """Raise `ClosedError` once the pool is closed, `RuntimeError` in a forked process."""
        self._home.check_process()
        if self.phase in (PoolPhase.CLOSING, PoolPhase.CLOSED):
            raise ClosedError("the pool is closed")

    def claim(self) -> None:
        """Belong to the running loop; if the loop before is closed, start anew on this one."""
        if not self._home.claim():
            return
        self._home.clean_up(*self._abandon())
        meter, self.engine = self.engine.meter, self._make_engine()
        self.engine.meter = meter
        self.started = False
        self._ended = asyncio.Event()
        if self.phase is PoolPhase.CLOSING:
            self.stop()
        elif self.phase is PoolPhase.OPEN:
            self.phase = PoolPhase.NEW

    def helper(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that works for visitors; it is cancelled when the pool is terminated."""
        # Not a deputy: what the engine starts in its context would keep the visitor's results.
        task = asyncio.get_running_loop().create_task(work)
        self._helpers[task] = acting()
        task.add_done_callback(self._helpers.pop)
        return task

    async def start(self) -> None:
        """Have the engine there. Idempotent; what has work for it looks at `started` first."""
        if self.phase is PoolPhase.NEW:
            self.phase = PoolPhase.OPEN
        await self._home.cleaned_up()
        await self.engine.start()
        self.started = True

    async def enter(self) -> None:
        """Start, as the block of a pool that has not been used yet begins."""
        self.check_open()
        self.claim()
        if self.phase is not PoolPhase.NEW:
            raise RuntimeError("the pool was started already, so it cannot be entered")
        try:
            await self.start()
        except BaseException:
            await self.terminate()
            raise

    async def close(self) -> None:
        """Streams end now, lists are waited for; see `AsyncPool.close`."""
        if self.phase is PoolPhase.CLOSED:
            return
        self.claim()
        self.phase = PoolPhase.CLOSING
        error, me = ClosedError("the pool was closed"), acting()
        ends = [
            work.ended.wait() if work in self.lists and not work.holds(me) else work.close(error)
            for work in self._all_streams()
        ]
        try:
            await together(map(deputy, ends))
            await self.visitors.gone(but=me if me is None else self._helpers.get(me, me))
            await self.engine.aclose()
        except BaseException:
            await self.terminate()
            raise
        await finish(self._end(kill=False))

    async def terminate(self) -> None:
        """Kill the workers, and end all that waits for them; see `AsyncPool.terminate`."""
        if self.phase is not PoolPhase.CLOSED:
            self.claim()
            self._stop_all()
            await finish(self._end(kill=True))

    async def join(self) -> None:
        """Wait for an end that was begun; see `AsyncPool.join`."""
        if self.phase is PoolPhase.OPEN:
            raise ValueError("join() needs close() or terminate() first: the pool is still running")
        if self.phase is PoolPhase.CLOSING:
            self.claim()
            await self._ended.wait()

    def stop(self) -> None:
        """Begin to terminate without waiting for it, from a callback of the loop."""
        if self.phase is not PoolPhase.CLOSED:
            self.claim()
            self._stop_all()
            self._ending = asyncio.ensure_future(self._end(kill=True))

    def __del__(self) -> None:
        phase = getattr(self, "phase", None)
        if phase not in (PoolPhase.OPEN, PoolPhase.CLOSING) or not self._home.ours:
            return
        # At the end of the program no thread can be had, and workers are killed anyway.
        with suppress(RuntimeError):
            end_aside(self.engine.abandon)
        if phase is PoolPhase.OPEN and self.name is not None:
            warn_of_drop(self, "'async with' or close()", name=self.name)

    def _abandon(self) -> list[Callable[[], object]]:
        """Drop what a closed loop left of streams. Returns what is left to do in a thread."""
        left = [end for stream in self._all_streams() for end in stream.abandon()]
        tasks = (*self.futures, *self._helpers, self._ending)
        self.futures, self._helpers, self.visitors = set(), {}, Visitors()
        return [partial(drop_tasks, tasks), *left, self.engine.abandon]

    def _stop_all(self) -> None:
        self.phase = PoolPhase.CLOSING
        for future in tuple(self.futures):
            future.cancel()
        for helper in self._helpers:
            if helper is not acting():
                helper.cancel()
        for stream in self._all_streams():
            stream.stop(ClosedError("the pool was terminated"))

    def _all_streams(self) -> tuple[StreamCore, ...]:
        return (*self.streams, *self.lists)

    async def _end(self, *, kill: bool) -> None:
        try:
            await self.engine.aclose(kill=kill)
            error = ClosedError("the pool was closed")
            ends = [deputy(stream.close(error)) for stream in self._all_streams()]
            if ends:
                # A source's own clean-up may take as long as it likes, but not when time presses.
                ended, _ = await asyncio.wait(ends, timeout=PATIENCE if kill else None)
                for end in ended:
                    end.result()
            await self._home.cleaned_up()
        finally:
            self.phase = PoolPhase.CLOSED
            self._home.release()
            self._ended.set()
