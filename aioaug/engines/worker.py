"""One worker process seen from the event loop, from its start to its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from multiprocessing.context import BaseContext
from typing import NamedTuple

from .. import _slots
from .._tasks import begin_in_thread, end_in_thread, ended, finish
from .._wire import Reply, Request
from ..errors import BatchTimeout, ClosedError, WorkerDied
from ..limits import named
from ..outcomes import Failure
from .keeper import Keeper
from .wire import Lost, Wire

# Seconds that a worker has to be gone after its connection was closed, before it is killed.
_GRACE = 1.0


class Recipe(NamedTuple):
    """What every worker of an engine is made from."""

    context: BaseContext
    state: bytes
    descriptors: tuple[int, ...]  # go along with the state
    start_limit: float | None = None  # seconds to unpickle the state


class Worker:
    """A process that holds the state, started once; to replace it is up to `Lane`."""

    def __init__(self, recipe: Recipe) -> None:
        self.attached: set[int] = set()  # the shared segments that the process has open
        self.tasks = 0
        self._recipe = recipe
        self._keeper = Keeper(recipe.context)
        self._wire: Wire | None = None
        self._ready = False
        self._closed = False
        self._ending = asyncio.Lock()
        self._overdue: float | None = None  # the limit that it exceeded
        self._connecting: asyncio.Future[None] | None = None
        self._expulsion: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether it can be asked."""
        return self._ready and self._wire is not None and not self._wire.lost.done()

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

    def ask(
        self, request: Request, descriptors: Sequence[int] = (), timeout: float | None = None
    ) -> asyncio.Future[Reply]:
        """Have it answer a request; the future fails with `Lost` if the process is gone.

        Descriptors go along with it, and must stay open until then. The process is
        killed if the answer does not come within `timeout` seconds.
        """
        if self._wire is None or self._closed:
            raise ClosedError("the engine was closed")
        self.tasks += 1
        work = self._wire.ask(request, descriptors)
        if timeout is not None:
            timer = asyncio.get_running_loop().call_later(timeout, self._expel, timeout)
            work.add_done_callback(lambda _: timer.cancel())
        return work

    async def post_mortem(self, doing: str) -> WorkerDied | BatchTimeout:
        """The error to raise for work that ended with `Lost`."""
        await self.close()
        if self._overdue is not None:
            return BatchTimeout(self._overdue, doing)
        return WorkerDied(self._keeper.exitcode, doing)

    async def close(self) -> None:
        """Let it leave in good order, for which it must be idle, and wait until it is gone."""
        self._closed = True
        await finish(self._end())

    async def kill(self) -> None:
        """End it at once, whatever it does; what it was asked fails with `Lost`."""
        self._closed = True
        await finish(end_in_thread(self._keeper.condemn))
        await self.close()

    def hang_up(self) -> None:
        """Begin to end it at once, its event loop being closed; `bury` has to follow."""
        self._closed = True
        self._ready = False
        if self._wire is not None:
            self._wire.abandon()
        self._keeper.expel()

    def bury(self) -> None:
        """Wait, in a thread, until it is gone."""
        self._keeper.kill()

    async def _connect(self) -> None:
        spawning = begin_in_thread(self._keeper.spawn)
        try:
            connection = await asyncio.wrap_future(spawning)
        except asyncio.CancelledError:  # as at the end of the event loop
            spawning.add_done_callback(_hang_up)
            raise
        if self._closed:
            connection.close()
            raise ClosedError("the engine was closed")
        with named("a worker process"):
            self._wire = Wire(connection, self._keeper.exit_fd)

    async def _send_state(self) -> None:
        try:
            reply = await self.ask(
                Request(self._recipe.state),
                self._recipe.descriptors,
                timeout=self._recipe.start_limit,
            )
        except Lost:
            if self._closed:
                raise ClosedError("the engine was closed") from None
            raise await self.post_mortem("starting") from None
        started = _slots.rebuild(reply.head)
        if isinstance(started, Failure):
            started.unwrap()
        self.tasks = 0
        self._ready = True

    def _expel(self, limit: float) -> None:
        self._overdue, self._ready = limit, False
        self._expulsion = asyncio.ensure_future(end_in_thread(self._keeper.expel))

    async def _end(self) -> None:
        async with self._ending:
            self._ready = False
            await ended(each for each in (self._connecting, self._expulsion) if each is not None)
            wire, self._wire = self._wire, None
            if wire is not None:
                wire.close()
            impatience = asyncio.get_running_loop().call_later(_GRACE, self._keeper.expel)
            try:
                # On the event loop there is no patience: its timer could not end it.
                await end_in_thread(self._keeper.stop, here=self._keeper.kill)
            finally:
                impatience.cancel()


def _hang_up(spawning: Future[socket.socket]) -> None:
    """Have a worker leave that came when nobody waited for it any more."""
    if not spawning.cancelled() and spawning.exception() is None:
        spawning.result().close()
