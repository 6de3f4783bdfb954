"""An engine without workers: calls run where they are awaited, for debugging and tiny work."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from anyio.lowlevel import checkpoint

from .._aio.tasks import end_in_thread, finish
from .._base.results import attempt
from ..errors import ClosedError
from .base import Engine, State
from .scheduler import Caller


class InlineEngine(Engine):
    """Runs each call in the event loop's own thread, which stands still meanwhile.

    Breakpoints and prints work. A call cannot be cancelled once it runs.
    """

    def __init__(self, state: State, *, workers: int = 1, max_tasks: int | None = None) -> None:
        super().__init__(state, workers=1, max_tasks=max_tasks)
        self._own: State | None = None

    async def start(self) -> None:
        if self._closed:
            raise ClosedError("the engine is closed")
        if self._own is None:
            self._own = self._state.clone()
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
        await checkpoint()  # other tasks get their turn between two calls
        await self.start()
        if begun is not None:
            begun()
        started = perf_counter()
        outcome = attempt(fn, self._own, *args)
        self.meter.since(started, "worker")
        return outcome.unwrap()

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        if hasattr(self._own, "end"):
            await finish(end_in_thread(self.abandon))
        self.abandon()

    def abandon(self) -> None:
        self._closed = True
        self._end_states([] if self._own is None else [self._own])
        self._own = None
