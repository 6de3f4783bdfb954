"""Gives calls to idle workers: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from ..errors import ClosedError

W = TypeVar("W")
T = TypeVar("T")


class Scheduler(Generic[W]):
    """Hands workers to calls. Used from the event loop only.

    A worker serves one call at a time. Calls that may go `ahead` can be given to a worker that
    has fewer than `calls_at_once(worker)` others, but idle workers go first, and none is given to
    a worker that does what nobody waits for any more: that may take as long as it likes.
    """

    def __init__(self, calls_at_once: Callable[[W], int] = lambda worker: 1) -> None:
        self._calls_at_once = calls_at_once
        self._load: dict[W, int] = {}
        self._abandoned: list[W] = []  # the worker of each call that nobody waits for
        self._waiting: deque[asyncio.Future[W]] = deque()
        self._waiting_ahead: deque[asyncio.Future[W]] = deque()
        self._work: set[asyncio.Future[Any]] = set()
        self._answers: set[asyncio.Future[Any]] = set()
        self._calls = 0
        self._quiet = asyncio.Event()
        self._closed = False
        self._ended = False

    @property
    def busy(self) -> set[W]:
        """The workers that have something to do."""
        return {worker for worker, load in self._load.items() if load}

    def open(self, workers: Iterable[W]) -> None:
        """Take these workers in, all of them idle."""
        self._load.update(dict.fromkeys(workers, 0))
        self._serve()

    @contextmanager
    def track(self) -> Iterator[None]:
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

    def check(self) -> None:
        """Raise `ClosedError` if no call can be served any more."""
        if self._ended:
            raise ClosedError("the engine was closed")

    async def acquire(self, *, ahead: bool = False) -> W:
        """Wait for a worker; `run` or `release` has to follow."""
        self.check()
        worker = self._pick(ahead)
        if worker is not None:
            self._load[worker] += 1
            return worker
        turn: asyncio.Future[W] = asyncio.get_running_loop().create_future()
        (self._waiting_ahead if ahead else self._waiting).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release(turn.result())  # it came in the moment of the cancellation
            raise

    def release(self, worker: W) -> None:
        """Hand a worker on that was taken."""
        self._load[worker] -= 1
        self._serve()

    async def run(
        self,
        worker: W,
        work: asyncio.Future[T],
        unwanted: Callable[[asyncio.Future[T]], None] | None = None,
    ) -> T:
        """Wait for work that a taken worker does; then the worker is handed on.

        So it is if nobody waits any more, and `unwanted` gets the work when it is done.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.add(work)
        self._answers.add(answer)
        work.add_done_callback(lambda work: self._end(worker, work, answer, unwanted))
        try:
            return await answer
        except asyncio.CancelledError:
            # It may have come in the moment of the cancellation.
            came = answer.done() and not answer.cancelled() and work.done()
            if not work.done():
                self._abandoned.append(worker)
            if came and unwanted is not None and answer.exception() is work.exception():
                unwanted(work)
            raise
        finally:
            self._answers.discard(answer)

    async def close(self, *, wait: bool) -> None:
        """Refuse new calls; wait for those that are awaited, or fail them with `ClosedError`."""
        self._closed = True
        if wait and self._calls:
            await self._quiet.wait()
        self._ended = True
        for future in (*self._waiting, *self._waiting_ahead, *self._answers):
            if not future.done():
                future.set_exception(ClosedError("the engine was closed"))

    async def drain(self) -> None:
        """Wait until no worker has work, after something has made sure that this comes soon."""
        while self._work:
            await asyncio.wait(self._work)

    def _pick(self, ahead: bool) -> W | None:
        free = self._load.keys() - self._abandoned if self._abandoned else self._load
        worker = min(free, key=self._load.__getitem__, default=None)
        if worker is None or self._load[worker] >= (self._calls_at_once(worker) if ahead else 1):
            return None
        return worker

    def _serve(self) -> None:
        for queue, ahead in ((self._waiting, False), (self._waiting_ahead, True)):
            while queue and (worker := self._pick(ahead)) is not None:
                turn = queue.popleft()
                if not turn.done():
                    self._load[worker] += 1
                    turn.set_result(worker)

    def _end(
        self,
        worker: W,
        work: asyncio.Future[T],
        answer: asyncio.Future[T],
        unwanted: Callable[[asyncio.Future[T]], None] | None,
    ) -> None:
        self._work.discard(work)
        if answer.cancelled() and worker in self._abandoned:
            self._abandoned.remove(worker)
        self.release(worker)
        if answer.done():
            if not work.cancelled():
                work.exception()  # asked for, so that asyncio does not report it
            if unwanted is not None:
                unwanted(work)
        elif work.cancelled():
            answer.set_exception(ClosedError("the engine was closed"))
        elif (error := work.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(work.result())
