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
from ..limits import CALLS_PER_WORKER, RESULTS_HELD
from ..scheduler import Scheduler
from ..small_calls import SmallCallPolicy
from .connection import ConnectionLost, NotBegun
from .segment_pool import SegmentPool
from .supervisor import WorkerSupervisor
from .transport import PackedCall, Transport
from .worker import Worker, WorkerConfig
from .worker_process import context_for


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
        reserve = CALLS_PER_WORKER * workers
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
        self._scheduler: Scheduler[WorkerSupervisor] = Scheduler(self.small_calls.calls_at_once)
        self._large_calls = asyncio.Semaphore(reserve)
        self._supervisors: list[WorkerSupervisor] = []
        self._starting: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None  # of the start

    options = frozenset(signature(__init__).parameters) - {*signature(Engine.__init__).parameters}

    @property
    def segments(self) -> tuple[int, int]:
        return self._segment_pool.used, self._segment_pool.count

    @property
    def pids(self) -> list[int]:
        """The numbers of the worker processes that run now."""
        found = (supervisor.pid for supervisor in self._supervisors)
        return [pid for pid in found if pid is not None]

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
        ahead: bool = False,
        limit: float | None = None,
    ) -> Any:
        with self._scheduler.track():
            await self.start()
            if self.small_calls.packs_on_loop:
                return await self._submit((fn, args), ahead and limit is None, limit)
            # What is large is not laid into shared memory long before a worker can take it.
            async with self._large_calls:
                return await self._submit((fn, args), False, limit)

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

    async def _submit(self, call: Any, ahead: bool, limit: float | None) -> Any:
        meter = self.meter
        while True:
            self._scheduler.check()
            begun = perf_counter()
            packed = await self._transport.pack(call)
            meter.since(begun, "staging")
            try:
                reply = await self._ask(packed, ahead, limit)
            except NotBegun:
                continue  # packed anew, as for whatever lay before a worker that died
            if reply.refused:
                self._transport.refuse(packed, reply)
                continue
            begun = perf_counter()
            outcome, copied = await self._transport.unpack(packed, reply)
            meter.since(begun, "result")
            meter.copies += copied
            return outcome.unwrap()

    async def _ask(self, packed: PackedCall, ahead: bool, limit: float | None) -> Reply:
        """What a worker replies; if it is gone, the packed call is given up with it."""
        supervisor, worker, work = await self._send(packed, ahead, limit)
        try:
            reply = await self._scheduler.run(
                supervisor, work, partial(self._transport.discard, packed)
            )
        except ConnectionLost as loss:
            self._transport.lose(packed)
            if isinstance(loss, NotBegun):
                raise
            # In a variable the error would keep itself and the pool alive, by its traceback.
            raise await self._loss_of(worker) from None
        if not reply.refused:
            self.small_calls.note_reply(supervisor, reply.seconds)
            supervisor.note_memory(reply.memory)
            self.meter.seconds["worker"] += reply.seconds
            self.meter.bytes += packed.size + sum(length for _, length in reply.spans)
        return reply

    async def _loss_of(self, worker: Worker) -> Exception:
        error = await worker.post_mortem("working")
        return ClosedError("the engine was closed") if self._closed else error

    async def _send(
        self, packed: PackedCall, ahead: bool, limit: float | None
    ) -> tuple[WorkerSupervisor, Worker, asyncio.Future[Reply]]:
        begun = perf_counter()
        try:
            supervisor = await self._scheduler.acquire(ahead=ahead)
            try:
                worker = await supervisor.take_worker()
                self.meter.since(begun, "queue")
                message = packed.message(
                    worker.attached,
                    self._segment_pool.numbers,
                    report_memory=supervisor.reports_memory,
                )
                return supervisor, worker, worker.request(*message, timeout=limit)
            except BaseException:
                self._scheduler.release(supervisor)
                raise
        except BaseException:
            self._transport.release(packed)
            raise

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
