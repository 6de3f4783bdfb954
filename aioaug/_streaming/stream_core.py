"""A stream from its source to its consumer, without the handle that a user holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from time import perf_counter
from typing import Any

from .._aio.loops import LoopOwner
from .._aio.tasks import acting, finish
from .._base.results import BatchResult, Skipped, unwrap
from ..errors import ClosedError
from .feeder import Feeder
from .reorder_buffer import ReorderBuffer
from .sources import PATIENCE

_LOST = "the event loop that this was begun on was closed, and its work with it"

# A loop refers to its tasks weakly: one that waits for something which only it refers to would be
# collected in the middle of its work, together with the stream that was to end it.
_running: set[StreamCore] = set()


class StreamPhase(Enum):
    """The life of a stream."""

    NEW = "new"
    RUNNING = "running"
    CLOSED = "closed"


class StreamCore:
    """A feeder and the buffer that it fills, until a consumer has taken all or ends them.

    Nothing is read before the first `next`, which calls `begin`. It lives on the loop of that
    `next`; when that loop is closed, the stream is over. Nothing in here refers to the
    `BatchStream` in the user's hands, so that one that is dropped is noticed.
    """

    def __init__(
        self,
        feeder: Feeder,
        *,
        ordered: bool,
        begin: Callable[[], None] = lambda: None,
        expect_blocked_loop: Callable[[], None] = lambda: None,
    ) -> None:
        self.tracker = feeder.tracker
        self.buffer_size = feeder.buffer_size
        self.home = LoopOwner("BatchStream")
        self.phase = StreamPhase.NEW
        self.ended = asyncio.Event()
        self._feeder = feeder
        self._results = ReorderBuffer(feeder.tracker, ordered=ordered)
        self._meter = feeder.meter
        self._begin = begin
        self.expect_blocked_loop = expect_blocked_loop
        self._held = False
        self._handed = 0.0  # when the consumer got what it holds
        self._asking = False
        self._news = asyncio.Event()
        self._end: BaseException | None = None

    async def next(self) -> Any:
        """The next result; raises `StopAsyncIteration` after the last one.

        Cancelled, it loses nothing: the next call gets what this one would have got.
        """
        loop = self.home.loop
        if loop is None or loop is not asyncio._get_running_loop():
            self._come()
        if self._asking:
            raise RuntimeError(
                "another task is waiting for this stream's next batch: have one task read the "
                "stream and share its batches by an asyncio.Queue, or give each task its own stream"
            )
        self._asking = True
        try:
            return unwrap(await self._next_result())
        finally:
            self._asking = False

    def stop(self, error: BaseException | None = None) -> None:
        """Begin to close: drop all work and results, and have the source closed. Idempotent.

        A consumer that waits, or asks later, gets `error` or the end of the stream. If it is the
        source or a handler of this very stream that wants it, that is not cancelled.
        """
        if self.phase is not StreamPhase.CLOSED:
            self.phase, self._end = StreamPhase.CLOSED, error
            self._feeder.stop()
            self._notify()

    async def close(self, error: BaseException | None = None) -> None:
        """`stop`, and wait until nothing of this stream runs any more.

        Who is part of what runs does not wait for itself. A caller that is cancelled waits for a
        source's own clean-up no longer than `PATIENCE`.
        """
        if self.phase is not StreamPhase.NEW:
            self._come()
        self.stop(error)
        if not self.holds(acting()):
            await finish(self.ended.wait(), patience=PATIENCE)
        failure, self._feeder.closing_error = self._feeder.closing_error, None
        if failure is not None:
            raise failure

    def holds(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether the source or one of the calls runs in this task."""
        return self._feeder.holds(task)

    def abandon(self) -> list[Callable[[], object]]:
        """Close it, if it had begun, after its event loop was closed: it cannot go on.

        A consumer that comes gets `ClosedError`. Returns what is left to do, in a thread.
        """
        if self.phase is StreamPhase.NEW or self.ended.is_set():
            return []
        self.phase, self._end = StreamPhase.CLOSED, ClosedError(_LOST)
        self._asking = self._held = False
        self._news, self.ended = asyncio.Event(), asyncio.Event()
        left = self._feeder.abandon()
        self._settle()
        return left

    def drop(self) -> None:
        """Begin to close it, from the `__del__` of what users hold."""
        self.home.end_dropped(self.stop, self.abandon)

    def _come(self) -> None:
        if not self.ended.is_set() and self.home.claim():
            self.home.clean_up(*self.abandon())

    async def _next_result(self) -> BatchResult:
        if self._held:
            self._held = False
            self._feeder.give_back()
            self._meter.since(self._handed, "consumer")
        if self.phase is StreamPhase.NEW:
            self._start()
        while True:
            while not self._results.ready:
                await self._more()
            result = self._results.take()
            if not isinstance(result, Skipped):
                break
            self._meter.skipped.append(self.tracker.skipped[-1])
            self._feeder.give_back()
        self._meter.batches += 1
        self._held = True
        self._handed = perf_counter()
        return result

    async def _more(self) -> None:
        """Wait until something has changed, or raise how the stream ends."""
        if self.phase is StreamPhase.CLOSED:
            raise self._end or StopAsyncIteration
        if self._feeder.ended:
            complete = self.tracker.complete
            await self.close()
            raise self._take_end(complete)
        self._news.clear()
        await self._news.wait()

    def _take_end(self, complete: bool) -> BaseException:
        # By its traceback an error refers to the stream and its pool; kept here or in a variable of
        # whoever raises it, it would keep them alive.
        error, self._feeder.error = self._feeder.error, None
        if error is None and not complete:
            return ClosedError("the stream's work was cancelled from outside")
        return error or StopAsyncIteration()

    def _start(self) -> None:
        self._begin()
        self.tracker.begin()
        self.phase = StreamPhase.RUNNING
        self._meter.begin()
        _running.add(self)
        self._feeder.changed = self._notify
        self._feeder.start(self._results.put)

    def _notify(self) -> None:
        self._news.set()
        if self.phase is StreamPhase.CLOSED and self._feeder.ended and not self.ended.is_set():
            self._settle()

    def _settle(self) -> None:
        self._results.clear()
        self._feeder.changed = None  # else the two would keep each other alive
        self.tracker.end()
        if self in _running:
            _running.remove(self)
            self._meter.end()
        self.ended.set()
