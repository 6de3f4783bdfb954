"""Workers as threads: no start-up time and nothing to pickle, but one GIL for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

from .._aio.tasks import end_in_thread, finish, in_thread
from .._base.results import attempt
from .._base.threads import DaemonExecutor
from ..errors import ClosedError
from .base import Engine, State
from .scheduler import Scheduler


class ThreadEngine(Engine):
    """Runs calls in threads, each with its own copy of the state.

    A call that is cancelled while it runs is abandoned: its thread goes on to the end of the
    call. `max_tasks` has no meaning here.
    """

    def __init__(self, state: State, *, workers: int, max_tasks: int | None = None) -> None:
        super().__init__(state, workers=workers, max_tasks=max_tasks)
        self._threads = DaemonExecutor(workers, "aioaug-thread")
        self._scheduler: Scheduler[State] = Scheduler()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        async with self._starting:
            if self._closed:
                raise ClosedError("the engine is closed")
            if not self._started:
                self._scheduler.open(await in_thread(self._clones))
                self._started = True

    async def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        ahead: bool = False,
        limit: float | None = None,
    ) -> Any:
        with self._scheduler.track():
            await self.start()
            begun = perf_counter()
            state = await self._scheduler.acquire()
            self.meter.since(begun, "queue")
            begun = perf_counter()
            work = self._threads.submit(attempt, fn, state, *args)
            outcome = await self._scheduler.run(state, asyncio.wrap_future(work))
            self.meter.since(begun, "worker")
            return outcome.unwrap()

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        try:
            await self._scheduler.close(wait=not kill)
        finally:
            # A thread that is busy with an abandoned call ends by itself, later.
            wait = not self._scheduler.busy
            await finish(end_in_thread(lambda: self._threads.shutdown(wait, cancel_futures=True)))

    def abandon(self) -> None:
        self._closed = True
        self._threads.abandon()

    def _clones(self) -> list[State]:
        return [self._state.clone() for _ in range(self.workers)]
