"""Workers as threads: no start-up time and nothing to pickle, but one GIL for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from .._aio.tasks import end_in_thread, finish, in_thread
from .._base.results import Outcome, attempt
from .._base.threads import DaemonExecutor
from ..errors import ClosedError
from .assignment import Assignment
from .base import Engine, State
from .scheduler import Caller, Scheduler, Turn


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
        self._states: list[State] = []

    @property
    def idle(self) -> int:
        return self._scheduler.idle

    @property
    def busy(self) -> int:
        return len(self._scheduler.busy)

    async def start(self) -> None:
        async with self._starting:
            if self._closed:
                raise ClosedError("the engine is closed")
            if not self._started:
                await in_thread(self._clone)
                self._scheduler.open(self._states)
                self._started = True

    async def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        ahead: int = 1,
        limit: float | None = None,
        caller: Caller | None = None,
        begun: Callable[[], object] | None = None,
        late: bool = False,
    ) -> Any:
        turn = self._scheduler.join(caller)
        try:
            if not self._started:
                await self.start()
            return await self._perform(turn, fn, args, begun)
        finally:
            self._scheduler.leave(turn)

    async def _perform(
        self,
        turn: Turn,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        begun: Callable[[], object] | None,
    ) -> Any:
        joined = perf_counter()
        state = await self._scheduler.acquire(turn)
        self.meter.since(joined, "queue")
        sent = perf_counter()
        try:
            if begun is not None:
                begun()
            doing = asyncio.wrap_future(self._threads.submit(attempt, fn, state, *args))
        except BaseException:
            self._scheduler.release(turn, state)
            raise
        work: Assignment[Outcome[Any]] = self._scheduler.begin(turn, state)
        doing.add_done_callback(partial(_pass_on, work))
        outcome = await work.wait()
        self.meter.since(sent, "worker")
        return outcome.unwrap()

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        try:
            await self._scheduler.close(wait=not kill)
        finally:
            # A thread that is busy with an abandoned call ends by itself, later.
            await finish(end_in_thread(self._end, not self._scheduler.busy))

    def abandon(self) -> None:
        self._closed = True
        self._threads.abandon()
        self._end_states(self._states)

    def _clone(self) -> None:
        while len(self._states) < self.workers and not self._closed:
            self._states.append(self._state.clone())
        if self._closed:  # meanwhile, and perhaps the last one came too late for it
            self._end_states(self._states)

    def _end(self, wait: bool) -> None:
        self._threads.shutdown(wait, cancel_futures=True)
        self._end_states(self._states)


def _pass_on(work: Assignment[Outcome[Any]], doing: asyncio.Future[Outcome[Any]]) -> None:
    if doing.cancelled():
        work.fail(ClosedError("the engine was closed"))
    else:
        work.succeed(doing.result())
