"""Workers as processes, each supervised on its own: a death costs one call, not the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from .. import _slots, _worker, machine
from .._loops import drop_tasks
from .._tasks import end_in_thread, finish, in_thread, together
from .._threads import DaemonExecutor, refuse_at_exit
from .._wire import Reply
from ..errors import ClosedError
from .bank import Bank
from .base import Engine, State
from .courier import Courier, Parcel
from .desk import Desk
from .keeper import context_for, refuse_daemons
from .lane import Lane
from .wire import Lost, NotBegun
from .worker import Recipe

# Calls under way per worker: one in its hands, one ready to follow.
_CALLS_PER_WORKER = 2
# Results that callers may hold in shared memory before they are copied out of it.
_HELD = 8


class ProcessEngine(Engine):
    """Runs calls in worker processes; state, arguments and results must pickle.

    Large arrays travel in shared memory: results are writable views of it, and the memory is
    used again when the last view is gone. When callers hold many results, further ones are
    copied out, as all are with `copy`. `max_bytes` is the most shared memory there may be, by
    default a quarter of what this process may use when the engine starts; where it does not do,
    objects are pickled whole. `room` is the size in bytes of results to expect from calls that
    no array goes into; without it, the first of them comes pickled. `descriptors` go along with
    the state, for memory that it refers to.

    A worker that has more than `max_memory` bytes for itself after a call is replaced as soon as
    the next one is ready. `start_limit` is how long a worker may take to unpickle the state, in
    seconds.

    Pickling, copying and every wait happen in threads. A call that is cancelled while it runs
    is abandoned: its worker finishes it and the result is dropped, unless `aclose` kills it first.
    """

    def __init__(
        self,
        state: State,
        *,
        workers: int,
        max_tasks: int | None = None,
        start_method: str | None = None,
        max_bytes: int | None = None,
        copy: bool = False,
        max_memory: int | None = None,
        start_limit: float | None = None,
        room: int = 0,
        descriptors: tuple[int, ...] = (),
    ) -> None:
        super().__init__(state, workers=workers, max_tasks=max_tasks)
        self._context = context_for(start_method)
        self._max_memory = max_memory
        self._start_limit = start_limit
        self._descriptors = descriptors
        self._threads = DaemonExecutor(2, "aioaug-engine")
        reserve = _CALLS_PER_WORKER * workers
        self._max_bytes = max_bytes
        self._bank = Bank(reserve + _HELD, max_bytes or 0)
        self._courier = Courier(self._bank, self._threads, reserve=reserve, copy=copy, room=room)
        self._desk: Desk[Lane] = Desk(depth=lambda lane: lane.depth)
        self._seats = asyncio.Semaphore(reserve)
        self._lanes: list[Lane] = []
        self._starting: asyncio.Task[None] | None = None
        self._closed = False
        self._failure: BaseException | None = None  # of the start

    @property
    def segments(self) -> tuple[int, int]:
        return self._bank.used, self._bank.count

    @property
    def quick(self) -> bool:
        return self._courier.light and all(lane.depth > 1 for lane in self._lanes)

    async def start(self) -> None:
        if self._closed:
            raise ClosedError("the engine is closed") from self._failure
        if self._starting is None:
            _worker.refuse_unguarded_script()
            refuse_daemons()
            refuse_at_exit()
            self._starting = asyncio.ensure_future(self._start())
            # Whoever waited may have been cancelled; then nobody asks how it went.
            self._starting.add_done_callback(lambda start: start.cancelled() or start.exception())
        # Others wait for it, too: if one of them is cancelled, the start goes on.
        if not self._starting.done():
            await asyncio.wait((self._starting,))
        if self._starting.cancelled():
            raise ClosedError("the engine was closed")
        self._starting.result()

    async def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        ahead: bool = False,
        limit: float | None = None,
    ) -> Any:
        with self._desk.visit():
            await self.start()
            if self._courier.light:
                return await self._submit((fn, args), ahead, limit)
            # What is large is not laid into shared memory long before a worker can take it.
            async with self._seats:
                return await self._submit((fn, args), False, limit)

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        try:
            await self._desk.close(wait=not kill)
        finally:
            await finish(self._end(kill))

    def abandon(self) -> None:
        self._closed = True
        drop_tasks((self._starting,))
        workers = [worker for lane in self._lanes for worker in lane.abandon()]
        for worker in workers:
            worker.hang_up()  # all of them first: to wait for each in turn may take long
        for worker in workers:
            worker.bury()
        self._threads.abandon()
        self._bank.close()

    async def _submit(self, call: Any, ahead: bool, limit: float | None) -> Any:
        meter = self.meter
        while True:
            self._desk.check()
            begun = perf_counter()
            parcel = await self._courier.pack(call)
            meter.since(begun, "staging")
            try:
                reply = await self._ask(parcel, ahead, limit)
            except NotBegun:
                continue  # packed anew, as for whatever lay before a worker that died
            if reply.refused:
                self._courier.refuse(parcel, reply)
                continue
            begun = perf_counter()
            outcome, copied = await self._courier.unpack(parcel, reply)
            meter.since(begun, "result")
            meter.copies += copied
            return outcome.unwrap()

    async def _ask(self, parcel: Parcel, ahead: bool, limit: float | None) -> Reply:
        """What a worker replies; if it is gone, the parcel is given up with it."""
        begun = perf_counter()
        lane = await self._lane_for(parcel, ahead)
        self.meter.since(begun, "queue")
        try:
            worker = lane.worker
            message = parcel.request(worker.attached, self._bank.numbers, weigh=lane.weighs)
            work = lane.ask(*message, timeout=limit)
        except BaseException:
            self._desk.give(lane)
            self._courier.release(parcel)
            raise
        try:
            reply = await self._desk.run(lane, work, partial(self._courier.discard, parcel))
        except Lost as loss:
            self._courier.lose(parcel)
            if isinstance(loss, NotBegun):
                raise
            error = await worker.post_mortem("working")
            if self._closed:
                raise ClosedError("the engine was closed") from None
            raise error from None
        if not reply.refused:
            lane.note(reply)
            self.meter.seconds["worker"] += reply.seconds
            self.meter.bytes += parcel.size + sum(length for _, length in reply.spans)
        return reply

    async def _lane_for(self, parcel: Parcel, ahead: bool) -> Lane:
        try:
            lane = await self._desk.take(ahead=ahead)
            try:
                await lane.start()
            except BaseException:
                self._desk.give(lane)
                raise
        except BaseException:
            self._courier.release(parcel)
            raise
        return lane

    async def _start(self) -> None:
        try:
            await self._start_workers()
        except BaseException as error:
            self._failure = error
            self._closed = True
            await self._desk.close(wait=False)
            await finish(self._end_workers(kill=True))
            raise

    async def _start_workers(self) -> None:
        if self._max_bytes is None:
            # Limits are files, which are read in a thread, and now: they may have changed.
            self._bank.max_bytes = await in_thread(machine.memory) // 4
        state = await asyncio.wrap_future(self._threads.submit(_slots.pickled, self._state))
        recipe = Recipe(self._context, state, self._descriptors, self._start_limit)
        self._lanes = [
            Lane(recipe, max_tasks=self.max_tasks, max_memory=self._max_memory)
            for _ in range(self.workers)
        ]
        await together(lane.start() for lane in self._lanes)
        self._desk.open(self._lanes)

    async def _end(self, kill: bool) -> None:
        if self._starting is None:
            return  # nothing is there to end, and a thread for it may not be had any more
        if not self._starting.done():
            self._starting.cancel()
            await asyncio.wait((self._starting,))
        await self._end_workers(kill)

    async def _end_workers(self, kill: bool) -> None:
        busy = self._desk.busy
        await asyncio.gather(
            *(lane.kill() if kill or lane in busy else lane.close() for lane in self._lanes)
        )
        await self._desk.drain()
        await end_in_thread(self._threads.shutdown)
        self._bank.close()
