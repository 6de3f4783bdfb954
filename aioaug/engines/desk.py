"""Where calls and idle workers meet: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from ..errors import ClosedError

W = TypeVar("W")


class Desk(Generic[W]):
    """Hands idle workers to calls. Used from the event loop only."""

    def __init__(self) -> None:
        self.busy: set[W] = set()
        self._idle: deque[W] = deque()
        self._waiting: deque[asyncio.Future[W]] = deque()
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

    async def serve(self, call: Callable[[W], Future[Any]]) -> Any:
        """Wait for an idle worker, let `call` start work on it and return the work's result.

        The worker is handed on when the work is done, whether or not somebody still waits.
        """
        return await self._begin(await self._take(), call)

    async def close(self, *, wait: bool) -> None:
        """Refuse new calls; wait for those that are awaited, or fail them with `ClosedError`."""
        self._closed = True
        if wait and self._calls:
            await self._quiet.wait()
        self._ended = True
        for future in (*self._waiting, *self._answers):
            if not future.done():
                future.set_exception(ClosedError("the engine was closed"))

    async def _take(self) -> W:
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

    def _give(self, worker: W) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        self._idle.append(worker)

    async def _begin(self, worker: W, call: Callable[[W], Future[Any]]) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self.busy.add(worker)
        try:
            work = call(worker)
        except BaseException:
            self._release(worker)
            raise

        def done(work: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                loop.call_soon_threadsafe(self._end, worker, work, answer)

        self._answers.add(answer)
        work.add_done_callback(done)
        try:
            return await answer
        finally:
            self._answers.discard(answer)

    def _end(self, worker: W, work: Future[Any], answer: asyncio.Future[Any]) -> None:
        self._release(worker)
        if answer.done():
            return
        if work.cancelled():
            answer.set_exception(ClosedError("the engine was closed"))
        elif (error := work.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(work.result())

    def _release(self, worker: W) -> None:
        self.busy.discard(worker)
        self._give(worker)
