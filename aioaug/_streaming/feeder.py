"""Reads a source and has its batches worked on, no more of them at once than may exist."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from .._aio.tasks import acting, drop_tasks, forget_cancellation
from .._base.results import BatchResult, Failure
from ..engines.limits import MOST_PER_PULL
from ..stats import Meter
from .output_buffer import OutputBuffer
from .sources import BatchSource
from .state import DeliveryTracker

Item = tuple[int, Any]  # index and batch
Call = Callable[[Sequence[Item]], Awaitable[Sequence[BatchResult]]]
Deliver = Callable[[Sequence[int], Sequence[BatchResult]], None]


class Feeder:
    """Numbers the batches of a source, gives chunks of them to `call`, and delivers the results.

    `buffer` has permits for the batches that may exist from here to the consumer, who gives back
    those that exist no more. This is the only gate for memory. `at_once`
    says how many chunks are given to `call` at once, which changes where workers come and go; while
    they are all under way, chunks that come after them become one, of no more than `together()`
    batches.
    """

    def __init__(
        self,
        call: Call,
        source: BatchSource,
        tracker: DeliveryTracker,
        meter: Meter,
        *,
        buffer: OutputBuffer,
        at_once: Callable[[], int],
        chunksize: int = 1,
        together: Callable[[], int] = lambda: 1,
    ) -> None:
        self.tracker = tracker
        self.meter = meter
        self.buffer_size = buffer.size
        self.changed: Callable[[], None] | None = None  # called when something running has ended
        self.error: BaseException | None = None  # what the source raised
        self.closing_error: BaseException | None = None  # what its own clean-up raised
        self._call = call
        self._source = source
        self._deliver: Deliver
        self._chunksize = chunksize
        self._at_once = at_once
        self._together = together
        self._permits = buffer
        self._granted = 0  # permits of batches that the source may fetch, and has not returned
        self._chunk: list[tuple[int, Item]] = []  # pulled, with positions, and not under way yet
        self._short = False  # the chunk will not get any longer for now
        self._landing = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def ended(self) -> bool:
        """Whether nothing runs, and the source is closed if it was read."""
        return (self._reader is None or self._reader.done()) and not self._tasks

    def start(self, deliver: Deliver) -> None:
        """Begin to read; `deliver` gets positions in the source with their results."""
        self._deliver = deliver
        self._reader = asyncio.create_task(self._read())
        self._reader.add_done_callback(self._reader_ended)

    def give_back(self) -> None:
        """One of the batches exists no more."""
        self._permits.release()

    def stop(self) -> None:
        """Begin to end: cancel all that runs, but not the one who wants it. Idempotent."""
        self._stopped = True
        self._chunk = []
        me = acting()
        for task in self._running():
            if task is not me:
                task.cancel()

    def holds(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether the source or one of the calls runs in this task."""
        return task is not None and (task is self._reader or task in self._tasks)

    def abandon(self) -> list[Callable[[], object]]:
        """End it after its loop was closed. Returns what is left to do, in a thread."""
        tasks = self._running()
        self._stopped, self._reader = True, None
        self._chunk, self._tasks = [], set()
        return [partial(drop_tasks, tasks), self._source.abandon]

    def _running(self) -> list[asyncio.Task[None]]:
        return [*self._tasks] if self._reader is None else [*self._tasks, self._reader]

    async def _read(self) -> None:
        try:
            while not self._stopped:
                # Waiting for a permit with a half-filled chunk in hand would be waiting for ever.
                self._short = not self._granted and self._permits.locked()
                self._launch()
                batches = await self._pull()
                self._short = False
                for batch in batches:
                    self._admit(batch)
                    while self._chunk and not self._may_grow():
                        await self._landed_one()
        except StopAsyncIteration:
            await self._launch_rest()
        except Exception as error:
            self.error = error
            await self._launch_rest()
        finally:
            await self._source.aclose()

    async def _pull(self) -> list[Any]:
        """Some batches, with a permit taken for each before the source may fetch it."""
        while not self._granted or (self._granted < MOST_PER_PULL and not self._permits.locked()):
            await self._permits.acquire()
            self._granted += 1
        begun = perf_counter()
        batches = await self._source.pull(self._granted)
        self.meter.since(begun, "source")
        self._granted -= len(batches)
        return batches

    def _admit(self, batch: Any) -> None:
        if self._stopped:  # by the source itself, which was not cancelled
            return
        position, index = self.tracker.pulled, self.tracker.pull()
        if index is None:
            self.give_back()
            return
        self._chunk.append((position, (index, batch)))
        self._launch()

    def _launch(self) -> None:
        """Send the chunk off if it is long enough, and there is a slot for it."""
        enough = 1 if self._short else self._chunksize
        if len(self._tasks) < self._at_once() and len(self._chunk) >= enough:
            task = asyncio.create_task(self._run(self._chunk))
            self._chunk = []
            self._tasks.add(task)
            task.add_done_callback(self._landed)

    def _may_grow(self) -> bool:
        """Whether the chunk, for which there is no slot yet, may take another batch."""
        longest = self._together() // self._chunksize * self._chunksize
        return len(self._chunk) < max(longest, self._chunksize)

    async def _launch_rest(self) -> None:
        self._short = True
        self._launch()
        while self._chunk:
            await self._landed_one()

    async def _landed_one(self) -> None:
        self._landing.clear()
        await self._landing.wait()

    async def _run(self, chunk: list[tuple[int, Item]]) -> None:
        positions, items = zip(*chunk, strict=True)
        results: Sequence[BatchResult]
        try:
            results = await self._call(items)
        except Exception as error:
            results = [Failure(error)] * len(chunk)
        for result in results:
            self._permits.note(result)
        self._deliver(positions, results)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            forget_cancellation(task)
        self._launch()
        self._landing.set()
        self._tell()

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        if reader.cancelled():
            forget_cancellation(reader)
        else:
            self.closing_error = reader.exception()
        self._reader = None
        self._tell()

    def _tell(self) -> None:
        if self.changed is not None:
            self.changed()
