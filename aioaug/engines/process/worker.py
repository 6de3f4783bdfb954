"""One worker process seen from the event loop, from its start to its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import NamedTuple

from ..._aio.tasks import begin_in_thread, drop_tasks, end_in_thread, ended, finish, in_thread
from ..._base.results import Failure
from ..._base.system_limits import named
from ..._transport import serialization
from ..._transport.messages import Reply, Report, Request
from ..._worker import coverage
from ...errors import BatchTimeout, ClosedError, LimitError, WorkerDied
from ..assignment import Assignment
from .connection import Connection, ConnectionLost, NotBegun
from .worker_process import WorkerProcess

# Seconds that a worker has to be gone after its connection was closed, before it is killed.
_GRACE = 1.0


class WorkerConfig(NamedTuple):
    """What every worker of an engine is made from."""

    context: BaseContext
    state: bytes
    descriptors: tuple[int, ...]  # go along with the state
    reported: Callable[[Report], object]  # is called with each report of a worker
    start_limit: float | None = None  # seconds to unpickle the state


class Worker:
    """A process that holds the state, started once; to replace it is up to `WorkerSupervisor`."""

    def __init__(self, config: WorkerConfig) -> None:
        self.attached: set[int] = set()  # the shared segments that the process has open
        self.tasks = 0  # that it was given so far
        self._config = config
        self._process = WorkerProcess(config.context)
        self._connection: Connection | None = None
        self._ready = False
        self._closed = False
        self._ending = asyncio.Lock()
        self._overdue: float | None = None  # the limit that it exceeded
        self._connecting: asyncio.Future[None] | None = None
        self._killing: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process while it can be asked."""
        return self._process.pid if self.usable else None

    @property
    def usable(self) -> bool:
        """Whether it can be asked."""
        return self._ready and self._connection is not None and not self._connection.lost.done()

    @property
    def working_on(self) -> Assignment[Reply] | None:
        """What it is busy with."""
        return next(iter(self._pending()), None)

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for something that it was given."""
        return not all(work.abandoned for work in self._pending())

    async def start(self) -> None:
        """Start the process and give it the state; raises what unpickling that raised."""
        # Whoever is cancelled meanwhile has the process killed, and does not wait for its start.
        self._connecting = asyncio.ensure_future(self._connect())
        self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            await asyncio.shield(self._connecting)
            await self._send_state()
        except BaseException:
            await self.kill()
            raise

    def send(
        self,
        work: Assignment[Reply],
        request: Request,
        descriptors: Sequence[int] = (),
        timeout: float | None = None,
    ) -> None:
        """Have it answer a request; the work fails with `ConnectionLost` if the process is gone.

        Descriptors go along with it, and must stay open until then. The process is
        killed if the answer does not come within `timeout` seconds after it began the work.
        """
        if self._connection is None or self._closed:
            work.fail(NotBegun())
            return
        if timeout is not None:
            self._limit(work, timeout, asyncio.get_running_loop().time())
        self._connection.send(work, request, descriptors)

    async def post_mortem(self, doing: str) -> WorkerDied | BatchTimeout:
        """The error to raise for work that ended with `ConnectionLost`."""
        await self.close()
        if self._overdue is not None:
            return BatchTimeout(self._overdue, doing)
        return WorkerDied(self._process.exitcode, doing)

    async def close(self) -> None:
        """Let it leave in good order, for which it must be idle, and wait until it is gone."""
        self._closed = True
        await finish(self._end())

    async def kill(self) -> None:
        """End it at once, whatever it does; what it was asked fails with `ConnectionLost`."""
        self._closed = True
        await finish(end_in_thread(self._process.kill_for_good))
        await self.close()

    def hang_up(self) -> None:
        """Begin to end it at once, in a thread; `clean_up` has to follow."""
        self._closed = True
        self._ready = False
        drop_tasks((self._connecting, self._killing))
        if self._connection is not None:
            self._connection.abandon()
        self._process.kill()

    def clean_up(self) -> None:
        """Wait, in a thread, until it is gone."""
        self._process.abort()
        if self._connection is not None:
            self._connection.abandon()  # the loop may have been closed before it could hang up

    async def _connect(self) -> None:
        spawning = begin_in_thread(self._process.spawn)
        try:
            sock = await asyncio.wrap_future(spawning)
        except BaseException:  # it was cancelled, or dropped with its event loop
            spawning.add_done_callback(_hang_up)
            raise
        if self._closed:
            sock.close()
            raise ClosedError("the engine was closed")
        with named("a worker process"):
            self._connection = Connection(sock, self._process.exit_fd, self._config.reported)

    async def _send_state(self) -> None:
        try:
            work: Assignment[Reply] = Assignment()
            state = Request(self._config.state)
            self.send(work, state, self._config.descriptors, self._config.start_limit)
            reply = await work.wait()
        except ConnectionLost:
            if self._closed:
                raise ClosedError("the engine was closed") from None
            raise await self.post_mortem("starting") from None
        started = serialization.rebuild(reply.head)
        if isinstance(started, Failure):
            started.unwrap()
        self._ready = True
        # Without a thread they are unlinked at the end; this is no reason to do without the worker.
        with suppress(LimitError):
            await in_thread(self._process.unlink_semaphores)

    def end_abandoned(self) -> None:
        """Begin to kill it, as nobody wants what it is busy with; the rest was not begun."""
        self._ready = False
        self._killing = asyncio.ensure_future(end_in_thread(self._process.kill))

    def _limit(self, work: Assignment[Reply], limit: float, begun: float) -> None:
        loop = asyncio.get_running_loop()
        work.timers[:] = [loop.call_at(begun + limit, self._end_overdue, work, limit, begun)]

    def _end_overdue(self, work: Assignment[Reply], limit: float, begun: float) -> None:
        """Begin to kill the process if it has been busy with this for so many seconds."""
        if self._connection is None:
            return
        now = asyncio.get_running_loop().time()
        # What is sent to a busy worker begins with the reply to what was sent before.
        since = max(begun, self._connection.replied) if work is self.working_on else now
        if since > begun and since + limit > now:
            self._limit(work, limit, since)
            return
        self._overdue = limit
        self.end_abandoned()

    def _pending(self) -> tuple[Assignment[Reply], ...]:
        return () if self._connection is None else self._connection.pending

    async def _end(self) -> None:
        async with self._ending:
            self._ready = False
            await ended(each for each in (self._connecting, self._killing) if each is not None)
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.hang_up()
            grace = coverage.SAVING if coverage.wanted() else _GRACE
            impatience = asyncio.get_running_loop().call_later(grace, self._process.kill)
            try:
                # On the event loop there is no patience: its timer could not end it.
                await end_in_thread(self._process.stop, here=self._process.abort)
            finally:
                impatience.cancel()
                if connection is not None:
                    connection.close()


def _hang_up(spawning: Future[socket.socket]) -> None:
    """Have a worker leave that came when nobody waited for it any more."""
    if not spawning.cancelled() and spawning.exception() is None:
        spawning.result().close()
