"""The life of a pool: started once, closed or terminated, with nothing left behind."""

from __future__ import annotations

import asyncio
import os
import weakref
from enum import Enum
from typing import Any, Self

from ._tasks import AsyncResource, finish, warn_of_drop
from .engines import Engine
from .errors import ClosedError
from .pipeline import Pipeline
from .sources import PATIENCE


class Phase(Enum):
    """Where in its life a pool is."""

    NEW = "new"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Lifecycle(AsyncResource):
    """An engine and the pipelines that run on it, ended together.

    `_streams` end when the pool is closed; `_lists` are waited for, `_futures` being the tasks
    that wait for some of them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pid = os.getpid()
        self._streams: weakref.WeakSet[Pipeline] = weakref.WeakSet()
        self._lists: weakref.WeakSet[Pipeline] = weakref.WeakSet()
        self._futures: set[asyncio.Task[list[Any]]] = set()
        self._phase = Phase.NEW
        self._ending: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    async def close(self) -> None:
        """End in good order: streams end now, calls of `map_batches` are waited for.

        A stream's consumer gets `ClosedError`. Idempotent. When cancelled, it terminates.
        """
        if self._phase is Phase.CLOSED:
            return
        self._phase = Phase.CLOSING
        try:
            await asyncio.gather(
                *(stream.close(ClosedError("the pool was closed")) for stream in self._streams),
                *(work.ended.wait() for work in self._lists),
            )
        except BaseException:
            await self.terminate()
            raise
        await finish(self._end(kill=False))

    async def terminate(self) -> None:
        """End at once: workers are killed, whatever they do; it takes about a second at most.

        Whoever waits for a batch or a list gets `ClosedError`, and the futures of
        `map_batches_async` are cancelled. Idempotent; when cancelled, it finishes first.
        """
        if self._phase is not Phase.CLOSED:
            self._stop_all()
            await finish(self._end(kill=True))

    async def join(self) -> None:
        """Wait until all workers are gone; `ValueError` before `close` or `terminate`."""
        if self._phase is Phase.OPEN:
            raise ValueError("join() needs close() or terminate() first: the pool is still running")
        if self._phase is Phase.CLOSING:
            await self._ended.wait()

    def stop(self) -> None:
        """Begin to terminate without waiting for it, as from a signal handler of the loop."""
        if self._phase is not Phase.CLOSED:
            self._stop_all()
            self._ending = asyncio.ensure_future(self._end(kill=True))

    def _stop_all(self) -> None:
        self._phase = Phase.CLOSING
        for future in tuple(self._futures):
            future.cancel()
        for pipeline in (*self._streams, *self._lists):
            pipeline.stop(ClosedError("the pool was terminated"))

    async def __aenter__(self) -> Self:
        self._check_open()
        if self._phase is not Phase.NEW:
            raise RuntimeError("the pool was started already, so it cannot be entered")
        try:
            self._phase = Phase.OPEN
            await self._engine.start()
        except BaseException:
            await self.terminate()
            raise
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await (self.close() if error is None else self.terminate())

    def __del__(self) -> None:
        if getattr(self, "_phase", None) is Phase.OPEN and self._pid == os.getpid():
            warn_of_drop(self, "'async with' or close()")

    async def _end(self, *, kill: bool) -> None:
        try:
            await self._engine.aclose(kill=kill)
            ends = [
                asyncio.ensure_future(pipeline.close())
                for pipeline in (*self._streams, *self._lists)
            ]
            if ends:
                # A source's own clean-up may take as long as it likes, but not when time presses.
                ended, _ = await asyncio.wait(ends, timeout=PATIENCE if kill else None)
                for end in ended:
                    end.result()
        finally:
            self._phase = Phase.CLOSED
            self._ended.set()

    def _check_open(self) -> None:
        if self._pid != os.getpid():
            raise RuntimeError(
                f"this pool belongs to process {self._pid}; a process that was forked from it has "
                "to build a pool of its own"
            )
        if self._phase in (Phase.CLOSING, Phase.CLOSED):
            raise ClosedError("the pool is closed")
