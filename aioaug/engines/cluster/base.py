"""What engines on clusters have in common: who gets the next call, and what becomes of it."""

from __future__ import annotations

import asyncio
import sys
import uuid
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import Any

from ..._aio.tasks import drop_tasks, end_in_thread, finish
from ..._base.threads import DaemonExecutor
from ..._transport import serialization
from ..._worker.parcels import Parcel
from ...errors import ClosedError, ClusterLost, WorkerDied
from ..base import Engine, State
from ..limits import CHUNKS_PER_WORKER
from ..scheduler import Caller, Turn
from ..small_calls import LOOP_BYTES
from .byte_budget import ByteBudget
from .homes import HomeScheduler, WorkerHomes, read_place
from .members import CallLost, ClusterCall, ClusterWorker

# So many calls for each thread are here at once, where calls prefer a worker.
_TO_CHOOSE_FROM = 12
# A call that was lost so often, and its worker lived on, ends workers that Dask moved it to.
_MOST_LOSSES = 10


class ClusterEngine(Engine):
    """Runs calls on the workers that a cluster has at the time, each with a copy of the state.

    Calls are given to workers in the order of submission, to the one with the fewest first; a
    worker has one more than it has threads, so that the next is there when one is done. Calls that
    say what they read from may go a little earlier or later, to have the worker that read from
    there before, see `HomeScheduler`. `max_bytes` bounds the bytes of their arguments. A class that
    derives from this says how a call gets to a worker (`_run`), and calls `_joined` and `_left` as
    workers come and go.
    """

    def __init__(
        self,
        state: State,
        *,
        workers: int,
        max_tasks: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        super().__init__(state, workers=workers, max_tasks=max_tasks)
        self._token = uuid.uuid4().hex
        self._budget = ByteBudget(max_bytes)
        self._threads = DaemonExecutor(2, "aioaug-cluster")
        self._scheduler = HomeScheduler()
        self._homes = WorkerHomes()
        self._members: dict[str, ClusterWorker] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._starting: asyncio.Task[None] | None = None
        self._shutting = False
        self._lost: ClusterLost | None = None
        self._over: asyncio.Future[None] | None = None  # done when no call can come to its end

    @property
    def idle(self) -> int:
        return self._scheduler.idle

    @property
    def calls_wanted(self) -> int:
        """More of them for calls that prefer a worker: these need others to choose from.

        Quick ones are better joined, which they are only while as many as wanted are here.
        """
        choose = self._homes.known and not self.small_calls.quick
        return self.workers * (_TO_CHOOSE_FROM if choose else CHUNKS_PER_WORKER)

    @property
    def busy(self) -> int:
        return sum(min(len(each.calls), each.threads) for each in self._members.values())

    @property
    def bytes_in_flight(self) -> int:
        """How many bytes of arguments are on the cluster now."""
        return self._budget.used

    @abstractmethod
    async def _open(self, state: bytes) -> None:
        """Have the state on all workers, and report these by `_joined`."""

    @abstractmethod
    async def _run(self, call: ClusterCall) -> Parcel | None:
        """Have `run_parcel` run on the call's worker; `None` as soon as the call is dropped.

        Raises `CallLost` if it has to be sent again, and whatever is no fault of a call's.
        """

    @abstractmethod
    async def _shut(self, *, kill: bool) -> None:
        """Leave the cluster, and nothing behind on it. With `kill` it may wait for nobody."""

    async def start(self) -> None:
        self._check()
        if self._starting is None:
            self._over = asyncio.get_running_loop().create_future()
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_note)
        await asyncio.shield(self._starting)

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
            self._check()
            parcel = None if late else await self._pack((fn, args))
            place = None if late else read_place(args)
            alone = False
            for _ in range(_MOST_LOSSES):
                if place is not None:
                    turn.home = self._homes.find(place, self._members)
                worker = await self._acquire(turn, alone)
                try:
                    if begun is not None:
                        begun()
                        begun = None
                    if parcel is None:
                        parcel = await self._pack((fn, args))
                    reply = await self._ask(parcel, worker, alone)
                except CallLost as loss:
                    alone = alone or loss.suspect
                    continue
                finally:
                    self._release(turn, worker, alone)
                if place is not None:
                    self._homes.note(place, worker)
                return await self._unpack(reply)
            raise WorkerDied(None, "working")
        finally:
            self._scheduler.leave(turn)

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        try:
            await self._scheduler.close(wait=not kill)
        finally:
            await finish(self._end(kill))

    def abandon(self) -> None:
        self._closed = True
        drop_tasks((self._starting, *self._tasks))
        self._threads.abandon()

    def _joined(self, address: str, threads: int) -> None:
        """A worker is there, and has the state."""
        if address in self._members:
            return
        self._members[address] = worker = ClusterWorker(address, threads)
        self._count()
        self._scheduler.open([worker])

    def _draining(self, address: str) -> None:
        """A worker ends what it has, and then leaves."""
        worker = self._members.get(address)
        if worker is not None:
            worker.draining = True
            self._scheduler.withdraw(worker)
            self._count()

    def _resumed(self, address: str) -> None:
        """A worker that was to have no more calls may have some again."""
        worker = self._members.get(address)
        if worker is not None and worker.draining:
            worker.draining = False
            self._count()
            self._scheduler.open([worker])

    def _left(self, address: str) -> None:
        """A worker is gone."""
        worker = self._members.pop(address, None)
        if worker is not None:
            self._scheduler.withdraw(worker)
            self.small_calls.forget(worker)
            worker.leave()
            self._count()

    def _lose(self, error: ClusterLost) -> None:
        """No call will come to its end any more: each raises this error."""
        if self._lost is None:
            self._lost = error
            self._closing()

    def _closing(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _count(self) -> None:
        threads = [each.threads for each in self._members.values() if not each.draining]
        self.workers = max(1, sum(threads))
        self.small_calls.expect_workers(max(1, len(threads)))

    def _check(self) -> None:
        if self._lost is not None:
            raise ClusterLost(*self._lost.args)
        if self._closed:
            raise ClosedError("the engine is closed")

    async def _acquire(self, turn: Turn, alone: bool) -> ClusterWorker:
        """Wait for a worker, and to have it `alone` until all that it has is over."""
        since = perf_counter()
        while True:
            worker = await self._scheduler.acquire(turn, sys.maxsize)
            if not alone:
                break
            if worker.reserved:  # by a call that came before, in the same moment
                self._scheduler.release(turn, worker)
                continue
            worker.reserved = True
            self._scheduler.withdraw(worker)
            try:
                await worker.emptied()
            except BaseException:
                self._release(turn, worker, alone)
                raise
            break
        self.meter.since(since, "queue")
        return worker

    def _release(self, turn: Turn, worker: ClusterWorker, alone: bool) -> None:
        if alone and worker.reserved:
            worker.reserved = False
            if not worker.draining and not worker.gone.done():
                self._scheduler.open([worker])
        self._scheduler.release(turn, worker)

    async def _start(self) -> None:
        # Workers are programs of their own, which do not have this one's main program.
        pickling = self._threads.submit(serialization.pickled, self._state, elsewhere=True)
        state = await asyncio.wrap_future(pickling)
        try:
            await self._open(state)
        except BaseException:
            self._closed = True
            await self._scheduler.close(wait=False)
            await finish(self._end(kill=True, starting=True))
            raise
        self._started = True

    async def _ask(self, parcel: Parcel, worker: ClusterWorker, alone: bool) -> Parcel:
        """What a worker replies. A worker that dies with the call is `WorkerDied`."""
        over = self._over
        async with self._budget.hold(parcel.nbytes):
            if worker.gone.done():  # while the call waited for its bytes
                raise CallLost
            call = ClusterCall(parcel, worker, alone)
            worker.calls.append(call)
            running = self._spawn(self._run(call))
            try:
                ends = [running, worker.gone] if over is None else [running, worker.gone, over]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if self._lost is not None or not (running.done() or worker.gone.done()):
                    self._check()
                    raise ClosedError("the engine was closed")
                if not running.done():
                    self._judge(call)
                reply = self._result(call, running)
            finally:
                call.drop()
                worker.end(call)
                running.add_done_callback(_note)
        if reply is None:
            raise CallLost
        self.meter.seconds["worker"] += reply.seconds
        self.meter.bytes += parcel.nbytes + reply.nbytes
        self.small_calls.note_reply(worker, reply.seconds)
        return reply

    def _result(self, call: ClusterCall, running: asyncio.Task[Any]) -> Parcel | None:
        try:
            reply: Parcel | None = running.result()
        except CallLost:
            if call.worker.gone.done():
                self._judge(call)
            raise
        return reply

    def _judge(self, call: ClusterCall) -> None:
        """Its worker is gone: blame it, or have it sent again."""
        if call.alone and not call.worker.draining:
            raise WorkerDied(None, "working")
        raise CallLost(suspect=not call.worker.draining)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _pack(self, what: Any) -> Parcel:
        since = perf_counter()
        if self.small_calls.pickles_on_loop:
            parcel = Parcel.of(what)
        else:
            parcel = await asyncio.wrap_future(self._threads.submit(Parcel.of, what))
        seconds = perf_counter() - since
        self.meter.seconds["staging"] += seconds
        self.small_calls.note_pickled(parcel.nbytes, seconds)
        return parcel

    async def _unpack(self, reply: Parcel) -> Any:
        since = perf_counter()
        if reply.nbytes < LOOP_BYTES and self.small_calls.unpacks_on_loop:
            outcome = _unpacked(reply)
        else:
            outcome = await asyncio.wrap_future(self._threads.submit(_unpacked, reply))
        self.small_calls.note_unpacked(perf_counter() - since)
        self.meter.since(since, "result")
        return outcome.unwrap()

    async def _end(self, kill: bool, *, starting: bool = False) -> None:
        self._closing()
        if self._starting is not None and not self._starting.done() and not starting:
            self._starting.cancel()
            await asyncio.wait((self._starting,))
        if self._starting is not None and not self._shutting:
            self._shutting = True
            await self._shut(kill=kill or self._lost is not None)
        for member in tuple(self._members):
            self._left(member)
        if self._tasks:
            _, late = await asyncio.wait(
                tuple(self._tasks), timeout=1.0 if kill or self._lost is not None else None
            )
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await end_in_thread(partial(self._threads.shutdown, not kill))


def _unpacked(reply: Parcel) -> Any:
    """What a worker packed; its arrays can be written to."""
    return Parcel(reply.head, [*map(_writable, reply.buffers)]).open()


def _writable(buffer: Any) -> Any:
    view = memoryview(buffer)
    return bytearray(view) if view.readonly else buffer


def _note(task: asyncio.Task[Any]) -> None:
    """Ask for an error that nobody waits for any more, or asyncio would report it."""
    if not task.cancelled():
        task.exception()
