"""Batches that tasks ask for one at a time, and short lists: no source, no buffer, no stream."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any

from .._aio.tasks import ended, finish
from .._base.joining import Joined, Joining
from .._base.results import BatchResult, Failure, Skipped, unwrap
from .._worker.augmentation import Item
from ..augmenters.batch_forms import known_bytes
from ..engines import Engine
from ..engines.scheduler import Caller
from ..engines.small_calls import BATCHES_TOGETHER, SMALL_BYTES
from ..errors import BatchTimeout, ClosedError, PoolBusy, TransportError, WorkerDied
from ..stats import RequestCount
from .options import PoolOptions
from .pool_life import PoolLife
from .retries import RetryingCaller

# A call that requests share should take a worker no longer, in seconds, and its message should have
# no more bytes: others wait meanwhile, and one request may turn out to be slow.
_TOGETHER_SECONDS = 0.012
_TOGETHER_BYTES = 1 << 17
_SHORTEST = 1e-6
# How much longer than before a request of its kind may seem to take.
_GROWTH = 1.2
# A request may be sent to a quick worker that is busy with another one, so that it is there when
# that is done; but not behind more of them, for one may turn out to be slow.
_AHEAD = 2


class RequestRunner:
    """Augments batches for tasks that wait for them, as many at once as there are.

    A batch goes to the engine out of the task that waits for it. Small ones, which would have to
    wait for a worker, share a call. `PoolLife` ends what is under way. `look` is called with each
    batch before it is sent.
    """

    def __init__(
        self, life: PoolLife, options: PoolOptions, look: Callable[[Any], None] | None
    ) -> None:
        self._life = life
        self._options = options
        self._look = look
        self._caller = RetryingCaller(life, options, ahead=_AHEAD, in_line=None, look=look)
        # The last ones of each kind of batch, which others may join; `None` is the kind of all
        # batches that are none of `Joining`.
        self._shared: dict[str | None, SharedCall] = {}
        self._taken: dict[str, float] = {}

    def check_room(self) -> None:
        """Raise `PoolBusy` if so many requests wait that another one would be too many."""
        most, engine = self._options.max_waiting, self._life.engine
        if most is None or not self._life.started:
            return
        waiting = engine.meter.requests.waiting
        if waiting >= most + engine.idle:
            engine.meter.refused += 1
            raise PoolBusy(waiting, most)

    async def augment(self, index: int, batch: Any, limit: float | None = None) -> Any:
        """The augmented batch. If it failed and `on_error` skips it, its error is raised."""
        task = self._life.visitors.enter()
        result: BatchResult = None
        try:
            result = await self._request((index, batch), limit)
            if isinstance(result, Skipped):
                self._life.engine.meter.skipped.append(index)
                raise result.error
            self._life.engine.meter.batches += not isinstance(result, Failure)
            return unwrap(result)
        finally:
            del result
            self._life.visitors.leave(task)

    async def augment_list(self, first: int, batches: list[Any], chunksize: int) -> list[Any]:
        """Augmented batches in order; the first that failed raises its error and ends the rest.

        The first one has the index `first`.
        """
        items = list(enumerate(batches, first))
        chunks = [items[at : at + chunksize] for at in range(0, len(items), chunksize)]
        task, meter = self._life.visitors.enter(), self._life.engine.meter
        meter.begin(stream=False)
        try:
            if len(chunks) == len(chunks[0]) == 1:
                return self._kept(chunks[0], [await self._request(chunks[0][0])])
            if len(chunks) == 1:
                return self._kept(chunks[0], await self._caller(chunks[0]))
            return await self._side_by_side(chunks)
        finally:
            meter.end(stream=False)
            self._life.visitors.leave(task)

    async def _side_by_side(self, chunks: Sequence[Sequence[Item]]) -> list[Any]:
        caller = RetryingCaller(
            self._life, self._options, ahead=_AHEAD, in_line=Caller(), look=self._look
        )
        tasks = [self._life.helper(caller(chunk)) for chunk in chunks]
        augmented: list[Any] = []
        try:
            for place, chunk in enumerate(chunks):
                await asyncio.wait((tasks[place],))
                if tasks[place].cancelled():
                    raise ClosedError("the pool was terminated")
                augmented += self._kept(chunk, tasks[place].result())
            return augmented
        finally:
            for each in tasks:
                each.cancel()
            await finish(ended(tasks))
            del tasks, each  # they have errors whose tracebacks have this frame

    def _kept(self, chunk: Sequence[Item], results: Sequence[BatchResult]) -> list[Any]:
        """The batches of a chunk but for those that were left out."""
        meter, kept = self._life.engine.meter, []
        try:
            for (index, _), result in zip(chunk, results, strict=True):
                if isinstance(result, Skipped):
                    meter.skipped.append(index)
                else:
                    kept.append(unwrap(result))
                    meter.batches += 1
            return kept
        finally:
            del results, result  # an error's traceback has this frame, and would keep the pool

    async def _request(self, item: Item, limit: float | None = None) -> BatchResult:
        if self._look is not None:
            self._look(item[1])
        begun = perf_counter()
        request = RequestCount(self._life.engine.meter)
        try:
            if not self._life.started:
                await self._life.start()
            first = None if limit is not None else self._share(item, request)
            result = await self._caller.alone(item, first=first, limit=limit, begun=request.run)
            self._note_taken(item[1], result)
            if isinstance(result, Failure):
                result = await self._caller.resolve(item, result)
            return result
        finally:
            request.leave(perf_counter() - begun)

    def _share(self, item: Item, request: RequestCount) -> Awaitable[Sequence[BatchResult]] | None:
        """What a call brings that others join, or have joined; `None` if this one goes alone."""
        engine, batch = self._life.engine, item[1]
        # Those that are pickled in threads wait, too, though the workers for them are idle yet.
        if engine.idle >= engine.meter.requests.waiting:
            return None
        if isinstance(batch, Joining):
            kind, size, most_bytes = batch.kind, batch.message_bytes, _TOGETHER_BYTES
            # Of a kind that nothing is known of each batch goes alone.
            most = int(_TOGETHER_SECONDS / self._taken.get(kind, math.inf))
        else:
            if self._options.timeout is not None or not engine.small_calls.quick:
                return None
            kind, size, most_bytes = None, known_bytes(batch), SMALL_BYTES
            most = BATCHES_TOGETHER
        if size is None or size >= most_bytes // 2 or most < 2:
            return None
        shared = self._shared.get(kind)
        if shared is None or not shared.takes(size, engine):
            room = min(most, BATCHES_TOGETHER), most_bytes
            shared = self._shared[kind] = SharedCall(
                engine, self._caller, room, self._options.timeout
            )
            shared.task = self._life.helper(shared.run())
        return shared.result(item, size, request.run)

    def _note_taken(self, batch: Any, result: BatchResult) -> None:
        if isinstance(batch, Joining) and isinstance(result, Joined):
            # Not the last one alone, and more slowly up than down: while all cores are busy, other
            # programs hold up many of them, and to send each alone would take more time still.
            before = self._taken.get(batch.kind, result.taken)
            taken = min(result.taken, before * _GROWTH)
            self._taken[batch.kind] = max((3 * before + taken) / 4, _SHORTEST)


class SharedCall:
    """One call for the small batches of several tasks, which join while it waits for a worker.

    A task that is cancelled takes its batch out of it, or drops the result. If the call fails as a
    whole, each task is told to try alone. `room` is for how many batches and bytes it has room, and
    `limit` how many seconds a worker may take for all of them.
    """

    task: asyncio.Task[None]

    def __init__(
        self, engine: Engine, caller: RetryingCaller, room: tuple[int, int], limit: float | None
    ) -> None:
        self._engine = engine
        self._caller = caller
        self._most, self._most_bytes = room
        self._limit = limit
        self._members: dict[
            asyncio.Future[Sequence[BatchResult]], tuple[Item, Callable[[], object]]
        ] = {}
        self._items: list[Item] = []  # what is sent, there when a worker is
        self._bytes = 0
        self._open = True

    def takes(self, size: int, engine: Engine) -> bool:
        """Whether a batch of this size may join."""
        room = len(self._members) < self._most and self._bytes + size < self._most_bytes
        return self._open and room and engine is self._engine

    async def result(
        self, item: Item, size: int, begun: Callable[[], object]
    ) -> Sequence[BatchResult]:
        """The result of a batch that joins, as of a call of its own; nothing if all failed."""
        answer: asyncio.Future[Sequence[BatchResult]] = asyncio.get_running_loop().create_future()
        self._members[answer] = item, begun
        self._bytes += size
        try:
            return await answer
        except asyncio.CancelledError:
            if self._open:
                del self._members[answer]
                self._bytes -= size
            if all(member.done() for member in self._members):
                self._open = False
                self.task.cancel()
            raise

    async def run(self) -> None:
        """Make the call, and give each member what it brought."""
        try:
            results = await self._caller.submit(
                self._items, limit=self._limit, begun=self._begin, late=True
            )
        except (WorkerDied, BatchTimeout, TransportError) as error:
            if len(self._members) == 1:
                self._fail(error)
            else:
                self._answer([()] * len(self._members))
        except asyncio.CancelledError:
            self._fail(ClosedError("the pool was terminated"))
            raise
        except BaseException as error:
            self._fail(error)
        else:
            self._answer([[result] for result in results])

    def _begin(self) -> None:
        self._open = False
        for item, begun in self._members.values():
            self._items.append(item)
            begun()

    def _answer(self, results: Sequence[Sequence[BatchResult]]) -> None:
        for member, result in zip(self._members, results, strict=True):
            if not member.done():
                member.set_result(result)
        self._members.clear()

    def _fail(self, error: BaseException) -> None:
        self._open = False
        for member in self._members:
            if not member.done():
                member.set_exception(error)
        self._members.clear()
