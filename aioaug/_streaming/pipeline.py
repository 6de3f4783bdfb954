"""From a source through some calls to a consumer: bounded, in order or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import partial
from time import perf_counter
from typing import Any

from .._aio.loops import LoopOwner, drop_tasks
from .._aio.tasks import acting, finish
from .._base.results import BatchResult, Failure, Skipped
from ..errors import ClosedError
from ..stats import Meter
from .sources import PATIENCE, BatchSource, Intake
from .state import DeliveryTracker

_LOST = "the event loop that this was begun on was closed, and its work with it"

Item = tuple[int, Any]  # index and batch
Placed = tuple[int, Item]  # by its position in the source
Call = Callable[[Sequence[Item]], Awaitable[Sequence[BatchResult[Any]]]]


# A loop refers to its tasks weakly: one that waits for something which only it refers to would be
# collected in the middle of its work, together with the stream that was to end it.
_running: set[StreamPipeline] = set()


class StreamPhase(Enum):
    """The life of a pipeline."""

    NEW = "new"
    RUNNING = "running"
    CLOSED = "closed"


class StreamPipeline:
    """Feeds chunks of a source to `call` and holds what comes back until it is asked for.

    `window` is the number of batches that may exist between the source and the consumer, the
    one in the consumer's hands included; `None` is no limit. `flying` is the number of chunks
    given to `call` at once. While they are all under way, up to `bundle()` chunks that come after
    them become one. Nothing is pulled before the first `next`, which calls `begin`.

    It lives on the loop of that `next`; when that loop is closed, the pipeline is over.
    """

    def __init__(
        self,
        call: Call,
        source: BatchSource,
        progress: DeliveryTracker,
        *,
        window: int | None,
        chunksize: int,
        flying: int,
        bundle: Callable[[], int] = lambda: 1,
        ordered: bool,
        meter: Meter,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._call = call
        self._intake = Intake(source, window, meter)
        self.tracker = progress
        self._begin = begin
        self.home = LoopOwner("BatchStream")
        self._chunksize = chunksize
        self._ordered = ordered
        self._meter = meter
        self._bundle = bundle
        self._slots = flying
        self._landing = asyncio.Event()
        self._chunk: list[Placed] = []  # pulled, and not under way yet
        self._short = False  # the chunk will not get any longer for now
        self._tasks: set[asyncio.Task[None]] = set()
        self._feeder: asyncio.Task[None] | None = None
        self._done: dict[int, BatchResult[Any]] = {}  # by position, in order of completion
        self._next = progress.wanted_from(0)
        self._held = False
        self._handed = 0.0  # when the consumer got what it holds
        self._asking = False
        self._news = asyncio.Event()
        self._source_error: BaseException | None = None
        self._close_error: BaseException | None = None
        self._end: BaseException | None = None
        self._phase = StreamPhase.NEW
        self.ended = asyncio.Event()

    @property
    def phase(self) -> StreamPhase:
        """Where in its life the pipeline is."""
        return self._phase

    async def next(self) -> Any:
        """The next result; raises `StopAsyncIteration` after the last one.

        Cancelled, it loses nothing: the next call gets what this one would have got.
        """
        if self.home.loop is not asyncio.get_running_loop():
            self._come()
        if self._asking:
            raise RuntimeError("another task is waiting for this stream's next batch")
        self._asking = True
        try:
            while isinstance(result := await self._next_result(), Skipped):
                pass
            return result.unwrap()
        finally:
            self._asking = False

    def stop(self, error: BaseException | None = None) -> None:
        """Begin to close: drop all work and results, and have the source closed. Idempotent.

        A consumer that waits, or asks later, gets `error` or the end of the stream. If it is the
        source or a handler of this very pipeline that wants it, that is not cancelled.
        """
        if self._phase is not StreamPhase.CLOSED:
            self._phase, self._end = StreamPhase.CLOSED, error
            self._chunk = []
            for task in (*self._tasks, self._feeder):
                if task is not None and task is not acting():
                    task.cancel()
            self._notify()

    async def close(self, error: BaseException | None = None) -> None:
        """`stop`, and wait until nothing of this pipeline runs any more.

        Who is part of what runs does not wait for itself. A caller that is cancelled waits for a
        source's own clean-up no longer than `PATIENCE`.
        """
        if self._phase is not StreamPhase.NEW:
            self._come()
        self.stop(error)
        if not self.holds(acting()):
            await finish(self.ended.wait(), patience=PATIENCE)
        failure, self._close_error = self._close_error, None
        if failure is not None:
            raise failure

    def holds(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether the source or one of the calls runs in this task."""
        return task is not None and (task is self._feeder or task in self._tasks)

    def abandon(self) -> list[Callable[[], None]]:
        """Close it, if it had begun, after its event loop was closed: it cannot go on.

        A consumer that comes gets `ClosedError`. Returns what is left to do, in a thread.
        """
        if self._phase is StreamPhase.NEW or self.ended.is_set():
            return []
        tasks = [task for task in (*self._tasks, self._feeder) if task is not None]
        self._phase, self._end = StreamPhase.CLOSED, ClosedError(_LOST)
        self._tasks.clear()
        self._asking = self._held = False
        self._news, self.ended = asyncio.Event(), asyncio.Event()
        self._settle()
        return [partial(drop_tasks, tasks), self._intake.abandon]

    def bury(self) -> None:
        """`abandon` it, and begin what that leaves to do."""
        self.home.bury(*self.abandon())

    def _come(self) -> None:
        if not self.ended.is_set() and self.home.claim():
            self.bury()

    async def _next_result(self) -> BatchResult[Any]:
        if self._held:
            self._held = False
            self._intake.give_back()
            self._meter.since(self._handed, "consumer")
        self._start()
        while (position := self._ready()) is None:
            if self._phase is StreamPhase.CLOSED:
                raise self._end or StopAsyncIteration
            if self._idle():
                error = self._last_word()
                await self.close()
                raise error or StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._hand_over(position)

    def _hand_over(self, position: int) -> BatchResult[Any]:
        result = self._done.pop(position)
        skipped = isinstance(result, Skipped)
        self.tracker.deliver(position, skipped=skipped)
        self._next = self.tracker.wanted_from(position + 1)
        if skipped:
            self._meter.skipped.append(self.tracker.skipped[-1])
            self._intake.give_back()
        else:
            self._meter.batches += 1
            self._held = True
            self._handed = perf_counter()
        return result

    def _start(self) -> None:
        if self._phase is StreamPhase.NEW:
            self._begin()
            self._phase = StreamPhase.RUNNING
            self._meter.begin()
            self._feeder = asyncio.create_task(self._feed())
            _running.add(self)
            self._feeder.add_done_callback(self._fed)

    def _ready(self) -> int | None:
        """The position of the result that is next in line, if it is there."""
        if self._ordered:
            return self._next if self._next in self._done else None
        return next(iter(self._done), None)

    def _idle(self) -> bool:
        return (self._feeder is None or self._feeder.done()) and not self._tasks

    def _last_word(self) -> BaseException | None:
        if self._source_error is None and not self.tracker.complete:
            return ClosedError("the stream's work was cancelled from outside")
        return self._source_error

    async def _feed(self) -> None:
        try:
            while self._phase is StreamPhase.RUNNING:
                # Waiting for a permit with a half-filled chunk in hand would be waiting for ever.
                self._short = self._intake.full
                self._launch()
                batches = await self._intake.pull()
                self._short = False
                for batch in batches:
                    await self._admit(batch)
        except StopAsyncIteration:
            await self._launch_rest()
        except Exception as error:
            self._source_error = error
            await self._launch_rest()
        finally:
            await self._intake.aclose()

    async def _admit(self, batch: Any) -> None:
        if self._phase is not StreamPhase.RUNNING:  # the source closed it, and was not cancelled
            return
        position, index = self.tracker.pulled, self.tracker.pull()
        if index is None:
            self._intake.give_back()
            return
        self._chunk.append((position, (index, batch)))
        self._launch()
        while self._chunk and len(self._chunk) >= self._chunksize * self._bundle():
            await self._landed_one()

    def _launch(self) -> None:
        """Send the chunk off if it is long enough, and there is a slot for it."""
        enough = 1 if self._short else self._chunksize
        if self._phase is StreamPhase.RUNNING and self._slots and len(self._chunk) >= enough:
            self._slots -= 1
            task = asyncio.create_task(self._run(self._chunk))
            self._chunk = []
            self._tasks.add(task)
            task.add_done_callback(self._landed)

    async def _launch_rest(self) -> None:
        self._short = True
        self._launch()
        while self._chunk:
            await self._landed_one()

    async def _landed_one(self) -> None:
        self._landing.clear()
        await self._landing.wait()

    async def _run(self, chunk: list[Placed]) -> None:
        positions, items = zip(*chunk, strict=True)
        results: Sequence[BatchResult[Any]]
        try:
            results = await self._call(items)
        except Exception as error:
            results = [Failure(error)] * len(chunk)
        self._done.update(zip(positions, results, strict=True))

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots += 1
        self._launch()
        self._landing.set()
        self._notify()

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        if not feeder.cancelled():
            self._close_error = feeder.exception()  # of the source's own clean-up
        self._notify()

    def _notify(self) -> None:
        self._news.set()
        if self._phase is StreamPhase.CLOSED and self._idle() and not self.ended.is_set():
            self._settle()

    def _settle(self) -> None:
        self._done.clear()
        self.tracker.end()
        if self._feeder is not None:
            self._meter.end()
        _running.discard(self)
        self.ended.set()
