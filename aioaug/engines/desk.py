"""Where calls and idle workers meet: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from ..errors import ClosedError

W = TypeVar("W")
T = TypeVar("T")


class Desk(Generic[W]):
    """Hands idle workers to calls. Used from the event loop only."""

    def __init__(self) -> None:
        self.busy: set[W] = set()
        self._idle: deque[W] = deque()
        self._waiting: deque[asyncio.Future[W]] = deque()
        self._work: set[asyncio.Future[Any]] = set()
        self._answers: set[asyncio.Future[Any]] = set()
        self._calls = 0
        self._quiet = asyncio.Event()
        self._closed = False
        self._ended = False

    def open(self, workers: Iterable[W]) -> None:
        """Take these workers in, all of them idle."""
        for worker in workers:
            self._give(worker)

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Count a call from its submission to its result; raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError("the engine is closed")
        self._calls += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._quiet.set()

    async def take(self) -> W:
        """Wait for an idle worker; `run` has to follow at once."""
        if self._ended:
            raise ClosedError("the engine was closed")
        if self._idle:
            return self._idle.popleft()
        turn: asyncio.Future[W] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give(turn.result())  # it came in the moment of the cancellation
            raise

    async def run(
        self, worker: W, work: asyncio.Future[T], unwanted: Callable[[T], None] | None = None
    ) -> T:
        """Wait for work that a taken worker does; then the worker is handed on.

        So it is if nobody waits any more, and `unwanted` gets the result.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.busy.add(worker)
        self._work.add(work)
        self._answers.add(answer)
        work.add_done_callback(lambda work: self._end(worker, work, answer, unwanted))
        try:
            return await answer
        finally:
            self._answers.discard(answer)

    async def close(self, *, wait: bool) -> None:
        """Refuse new calls; wait for those that are awaited, or fail them with `ClosedError`."""
        self._closed = True
        if wait and self._calls:
            await self._quiet.wait()
        self._ended = True
        for future in (*self._waiting, *self._answers):
            if not future.done():
                future.set_exception(ClosedError("the engine was closed"))

    async def drain(self) -> None:
        """Wait until no worker has work, after something has made sure that this comes soon."""
        while self._work:
            await asyncio.wait(self._work)

    def _give(self, worker: W) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        self._idle.append(worker)

    def _end(
        self,
        worker: W,
        work: asyncio.Future[T],
        answer: asyncio.Future[T],
        unwanted: Callable[[T], None] | None,
    ) -> None:
        self._work.discard(work)
        self.busy.discard(worker)
        self._give(worker)
        error = ClosedError("the engine was closed") if work.cancelled() else work.exception()
        if error is None and answer.done() and unwanted is not None:
            unwanted(work.result())
        elif not answer.done():
            if error is None:
                answer.set_result(work.result())
            else:
                answer.set_exception(error)
