"""Workers as processes, each with an executor of its own: a death costs one call, not the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .. import _wire
from .._tasks import finish, in_thread
from .._threads import DaemonExecutor
from ..errors import ClosedError
from .base import Engine, State
from .desk import Desk
from .lane import Lane, context_for


class ProcessEngine(Engine):
    """Runs calls in worker processes; state, arguments and results must pickle.

    Pickling and every wait happen in threads. A call that is cancelled while it runs is
    abandoned: its worker finishes it and drops the result, unless `aclose` kills it first.
    """

    def __init__(
        self,
        state: State,
        *,
        workers: int,
        max_tasks: int | None = None,
        start_method: str | None = None,
    ) -> None:
        super().__init__(state, workers=workers, max_tasks=max_tasks)
        self._context = context_for(start_method)
        # One thread a worker waits for its answer; two more carry objects to bytes and back.
        self._threads = DaemonExecutor(workers + 2, "aioaug-engine")
        self._desk: Desk[Lane] = Desk()
        self._lanes: list[Lane] = []
        self._starting = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        async with self._starting:
            if self._closed:
                raise ClosedError("the engine is closed")
            if not self._lanes:
                try:
                    await self._start()
                except BaseException:
                    await self.aclose(kill=True)
                    raise

    async def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        with self._desk.visit():
            await self.start()
            answer = await self._ask(await self._in_thread(_wire.dumps, (fn, args)))
            return (await self._in_thread(_wire.loads, answer)).unwrap()

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        try:
            await self._desk.close(wait=not kill)
        finally:
            await finish(self._end(kill))

    async def _ask(self, request: bytes) -> bytes:
        answer: bytes = await self._desk.serve(
            lambda lane: self._threads.submit(lane.work, request)
        )
        return answer

    async def _start(self) -> None:
        state = await self._in_thread(_wire.dumps, self._state)
        self._lanes = [Lane(self._context, state, self.max_tasks) for _ in range(self.workers)]
        await asyncio.gather(*(self._in_thread(lane.start) for lane in self._lanes))
        self._desk.open(self._lanes)

    async def _end(self, kill: bool) -> None:
        busy = self._desk.busy
        await asyncio.gather(
            *(in_thread(lane.kill if kill or lane in busy else lane.close) for lane in self._lanes)
        )
        await in_thread(self._threads.shutdown)

    async def _in_thread(self, fn: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.wrap_future(self._threads.submit(fn, *args))
