"""Workers as processes, each supervised on its own: a death costs one call, not the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from inspect import signature
from time import perf_counter
from typing import Any

from ..._aio.tasks import drop_tasks, end_in_thread, finish, in_thread, together
from ..._base import system
from ..._base.threads import DaemonExecutor, refuse_at_exit
from ..._transport import serialization
from ..._transport.messages import Reply, Report
from ..._worker import main as worker_main
from ..._worker import reports
from ...errors import ClosedError, LimitError
from ..base import Engine, State
from ..limits import LARGE_CALLS_PER_WORKER, RESULTS_HELD
from ..scheduler import Caller, Scheduler, Turn
from ..small_calls import SmallCallPolicy
from .abandoned import AbandonedWork
from .connection import ConnectionLost, NotBegun
from .segment_pool import SegmentPool
from .supervisor import WorkerSupervisor
from .transport import PackedCall, PickledCall, Transport
from .worker import Worker, WorkerConfig
from .worker_process import context_for


class _Call:
    """A call on its way to a worker."""

    __slots__ = ("ahead", "begun", "limit", "pickled", "turn", "what")

    def __init__(self, what: Any, turn: Turn, ahead: int, limit: float | None) -> None:
        self.what = what
        self.turn = turn
        self.ahead = ahead
        self.limit = limit
        self.pickled: PickledCall | None = None
        self.begun: Callable[[], object] | None = None


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
    seconds. With `abandon_after`, a worker is replaced that is busy with what nobody has waited for
    during so many seconds, while others wait.

    Pickling, copying and every wait happen in threads. A call that is cancelled while it runs
    is abandoned: its worker finishes it and the result is dropped, unless `aclose` kills it first.
    """

    owns_interpreter = True

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
        abandon_after: float | None = None,
        room: int = 0,
        descriptors: tuple[int, ...] = (),
    ) -> None:
        super().__init__(state, workers=workers, max_tasks=max_tasks)
        self.small_calls = SmallCallPolicy(
            workers, workers_stay=max_tasks is None and max_memory is None
        )
        self._context = context_for(start_method)
        self._max_memory = max_memory
        self._start_limit = start_limit
        self._descriptors = descriptors
        self._threads = DaemonExecutor(2, "aioaug-engine")
        self._report_thread = DaemonExecutor(1, "aioaug-reports")  # handlers of logging may block
        reserve = LARGE_CALLS_PER_WORKER * workers
        self._max_bytes = max_bytes
        self._segment_pool = SegmentPool(reserve + RESULTS_HELD, max_bytes or 0)
        self._transport = Transport(
            self._segment_pool,
            self._threads,
            self.small_calls,
            reserve=reserve,
            copy=copy,
            room=room,
        )
        self._scheduler: Scheduler[WorkerSupervisor] = Scheduler(
            self.small_calls.calls_at_once,
            shared_at_once=self.small_calls.shared_at_once,
            room=reserve,
        )
        self._abandoned = AbandonedWork(abandon_after, self._scheduler)
        self._supervisors: list[WorkerSupervisor] = []
        self._starting: asyncio.Task[None] | None = None
        self._ready = False
        self._failure: BaseException | None = None  # of the start

    options = frozenset(signature(__init__).parameters) - {*signature(Engine.__init__).parameters}

    @property
    def idle(self) -> int:
        return self._scheduler.idle

    @property
    def busy(self) -> int:
        return len(self._scheduler.busy)

    @property
    def segments(self) -> tuple[int, int]:
        return self._segment_pool.used, self._segment_pool.count

    @property
    def pids(self) -> list[int]:
        """The numbers of the worker processes that run now."""
        found = (supervisor.pid for supervisor in self._supervisors)
        return [pid for pid in found if pid is not None]

    @property
    def restarts(self) -> int:
        """How often a worker process was replaced, for whatever reason."""
        return sum(supervisor.restarts for supervisor in self._supervisors)

    async def start(self) -> None:
        if self._closed:
            raise ClosedError("the engine is closed") from self._failure
        if self._starting is None:
            worker_main.refuse_unguarded_script()
            refuse_at_exit()
            self._starting = asyncio.ensure_future(self._start())
            self._started = True
            # Whoever waited may have been cancelled; then nobody asks how it went.
            self._starting.add_done_callback(lambda start: start.cancelled() or start.exception())
        # Others wait for it, too: if one of them is cancelled, the start goes on.
        if not self._starting.done():
            await asyncio.wait((self._starting,))
        if self._starting.cancelled():
            raise ClosedError("the engine was closed")
        failure = self._starting.exception()
        if failure is not None:
            # Every caller gets the same one; the way that it took through the tasks of the start
            # would only hide what it says.
            raise failure.with_traceback(None)

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
        # Where the time of a call is limited, it should begin when it is sent.
        ahead = ahead if limit is None or late else 1
        call = _Call((fn, args), self._scheduler.join(caller, shared=late), ahead, limit)
        try:
            if not self._ready:
                await self.start()
            if not late:
                call.pickled = await self._pickle(call)
            call.begun = begun
            return await self._perform(call)
        finally:
            self._scheduler.leave(call.turn)

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        try:
            await self._scheduler.close(wait=not kill)
        finally:
            await finish(self._end(kill))

    def abandon(self) -> None:
        self._closed = True
        drop_tasks((self._starting,))
        workers = [worker for supervisor in self._supervisors for worker in supervisor.abandon()]
        for worker in workers:
            worker.hang_up()  # all of them first: to wait for each in turn may take long
        for worker in workers:
            worker.clean_up()
        self._threads.abandon()
        self._report_thread.shutdown(wait=False)
        self._segment_pool.close()

    def _details(self) -> str:
        return f" start_method={self._context.get_start_method()!r}"

    async def _perform(self, call: _Call) -> Any:
        """Have a call done; again, if the worker is gone before it has begun it."""
        while True:
            try:
                packed, reply = await self._ask(call)
            except NotBegun:
                continue  # its arrays are laid anew, as for whatever lay before a worker that died
            if reply.refused:
                self._transport.refuse(packed, reply)
                continue
            since = perf_counter()
            outcome, copied = await self._transport.unpack(packed, reply)
            self.meter.since(since, "result")
            self.meter.copies += copied
            return outcome.unwrap()

    async def _ask(self, call: _Call) -> tuple[PackedCall, Reply]:
        """What a worker replies; if it is gone, the packed call is given up with it."""
        supervisor, worker, packed = await self._find_worker(call, await self._pack_early(call))
        message = packed.message(
            worker.attached, self._segment_pool.numbers, report_memory=supervisor.reports_memory
        )
        unwanted = partial(self._discard, packed, supervisor)
        work = self._scheduler.begin(call.turn, supervisor, unwanted)
        worker.send(work, *message, timeout=call.limit)
        try:
            reply = await work.wait()
        except asyncio.CancelledError:
            if not work.over:
                self._scheduler.abandon(work, supervisor)
                self._abandoned.note(work, worker, self.meter)
            raise
        except ConnectionLost as loss:
            self._transport.lose(packed)
            if isinstance(loss, NotBegun):
                raise
            # In a variable the error would keep itself and the pool alive, by its traceback.
            raise await self._loss_of(worker) from None
        self._note_reply(packed, supervisor, reply)
        return packed, reply

    async def _loss_of(self, worker: Worker) -> Exception:
        error = await worker.post_mortem("working")
        return ClosedError("the engine was closed") if self._closed else error

    def _discard(
        self, packed: PackedCall, supervisor: WorkerSupervisor, reply: Reply | None
    ) -> None:
        """A worker is done with work that nobody waits for any more, or it is gone."""
        if reply is not None:
            self._note_reply(packed, supervisor, reply)
        self._transport.discard(packed, reply)

    def _note_reply(self, packed: PackedCall, supervisor: WorkerSupervisor, reply: Reply) -> None:
        self._abandoned.enforce()  # the worker goes on to what it was sent ahead
        if not reply.refused:
            self.small_calls.note_reply(supervisor, reply.seconds)
            supervisor.note_memory(reply.memory)
            self.meter.seconds["worker"] += reply.seconds
            self.meter.bytes += packed.size + sum(length for _, length in reply.spans)

    async def _find_worker(
        self, call: _Call, packed: PackedCall | None
    ) -> tuple[WorkerSupervisor, Worker, PackedCall]:
        """Wait for a worker; what is not packed yet is packed when there is one."""
        since = perf_counter()
        try:
            needed = 0 if call.pickled is None else self._transport.needed(call.pickled)
            most = min(call.ahead, self.small_calls.most_calls(needed))
            supervisor = await self._scheduler.acquire(call.turn, most)
            self.meter.since(since, "queue")
            try:
                if packed is None:
                    packed = await self._pack_late(call)
                return supervisor, await supervisor.take_worker(), packed
            except BaseException:
                self._scheduler.release(call.turn, supervisor)
                raise
        except BaseException:
            if packed is not None:
                self._transport.release(packed)
            raise

    async def _pickle(self, call: _Call) -> PickledCall:
        since = perf_counter()
        try:
            return self._transport.pickle_now(call.what) or await self._transport.pickle(call.what)
        finally:
            self.meter.since(since, "staging")

    async def _pack_early(self, call: _Call) -> PackedCall | None:
        """Pack a large call, for which a worker should not have to wait, as soon as it may be."""
        if call.pickled is None or not self._transport.is_large(call.pickled):
            return None
        since = perf_counter()
        await self._scheduler.find_room(call.turn)
        self.meter.since(since, "queue")
        since = perf_counter()
        packed = await self._transport.pack(call.pickled)
        self.meter.since(since, "staging")
        return packed

    async def _pack_late(self, call: _Call) -> PackedCall:
        """Pack a call that a worker is there for."""
        if call.begun is not None:
            call.begun()
            call.begun = None
        if call.pickled is None:
            call.pickled = await self._pickle(call)
        since = perf_counter()
        packed = self._transport.pack_now(call.pickled) or await self._transport.pack(call.pickled)
        self.meter.since(since, "staging")
        return packed

    def _reported(self, report: Report) -> None:
        try:
            self._report_thread.submit(reports.deliver, report.head)
        except LimitError:
            reports.deliver(report.head)

    async def _start(self) -> None:
        try:
            await self._start_workers()
        except BaseException as error:
            self._failure = error
            self._closed = True
            await self._scheduler.close(wait=False)
            await finish(self._end_workers(kill=True))
            raise

    async def _start_workers(self) -> None:
        if self._max_bytes is None:
            # Limits are files, which are read in a thread, and now: they may have changed.
            self._segment_pool.max_bytes = await in_thread(system.memory) // 4
        state = await asyncio.wrap_future(self._threads.submit(serialization.pickled, self._state))
        config = WorkerConfig(
            self._context, state, self._descriptors, self._reported, self._start_limit
        )
        self._supervisors = [
            WorkerSupervisor(config, max_tasks=self.max_tasks, max_memory=self._max_memory)
            for _ in range(self.workers)
        ]
        await together(supervisor.start() for supervisor in self._supervisors)
        self._scheduler.open(self._supervisors)
        self._ready = True

    async def _end(self, kill: bool) -> None:
        if self._starting is None:
            return  # nothing is there to end, and a thread for it may not be had any more
        if not self._starting.done():
            self._starting.cancel()
            await asyncio.wait((self._starting,))
        await self._end_workers(kill)

    async def _end_workers(self, kill: bool) -> None:
        busy = self._scheduler.busy
        await together(
            supervisor.kill() if kill or supervisor in busy else supervisor.close()
            for supervisor in self._supervisors
        )
        await self._scheduler.drain()
        await end_in_thread(self._threads.shutdown)
        # What was reported is handled even if nobody waits for it.
        await end_in_thread(self._report_thread.shutdown, not kill)
        self._segment_pool.close()
