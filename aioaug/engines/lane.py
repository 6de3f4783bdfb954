"""One worker, supervised from the event loop: started, asked, replaced, ended."""

from __future__ import annotations

import asyncio
from multiprocessing.context import BaseContext

from .. import _slots
from .._tasks import finish, in_thread
from .._wire import Reply
from ..errors import ClosedError, WorkerDied
from ..outcomes import Failure
from .keeper import Keeper
from .wire import Lost, Wire

# Work shorter than this, in seconds, is sent ahead, so many pieces of it, to a worker that is
# still busy: to wake it up for each would take longer than the work.
_QUICK = 0.001
_AHEAD = 4


class Lane:
    """A worker process that is replaced when it dies or has done its share."""

    def __init__(self, context: BaseContext, state: bytes, max_tasks: int | None) -> None:
        self.attached: set[int] = set()  # the shared segments that the worker has open
        self.depth = 1  # how many pieces of work it may have at once
        self._state = state
        self._max_tasks = max_tasks
        self._tasks = 0
        self._keeper = Keeper(context)
        self._wire: Wire | None = None
        self._ready = False
        self._changing = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        """Make sure that there is a worker which holds the state and may do more work."""
        if self._usable():
            return
        async with self._changing:
            if not self._usable():
                await self._stop()
                await finish(self._connect())
                await self._send_state()

    def ask(self, message: bytes) -> asyncio.Future[Reply]:
        """Have the worker answer a message; the future fails with `Lost` if the worker is gone."""
        if self._wire is None or self._closed:
            raise ClosedError("the engine was closed")
        self._tasks += 1
        return self._wire.ask(message)

    def note(self, seconds: float) -> None:
        """Take note of how long the last piece of work took."""
        self.depth = _AHEAD if seconds < _QUICK and self._max_tasks is None else 1

    async def died(self, doing: str) -> WorkerDied:
        """The error to raise for work that ended with `Lost`."""
        async with self._changing:
            if not self._usable():
                await self._stop()
        return WorkerDied(self._keeper.exitcode, doing)

    async def close(self) -> None:
        """Let the worker leave in good order; it must be idle."""
        self._closed = True
        await self._stop()

    async def kill(self) -> None:
        """End the worker at once, whatever it does; what it was asked fails with `Lost`."""
        self._closed = True
        await in_thread(self._keeper.kill)
        await self._stop()

    def _usable(self) -> bool:
        lost = self._wire is None or self._wire.lost.done()
        return self._ready and not lost and self._tasks != self._max_tasks

    async def _connect(self) -> None:
        connection = await in_thread(self._keeper.spawn)
        _, self._wire = await asyncio.get_running_loop().create_connection(Wire, sock=connection)

    async def _send_state(self) -> None:
        try:
            reply = await self.ask(self._state)
        except Lost:
            await self._stop()
            if self._closed:
                raise ClosedError("the engine was closed") from None
            raise WorkerDied(self._keeper.exitcode, "starting") from None
        started = _slots.rebuild(reply.head)
        if isinstance(started, Failure):
            await self._stop()
            started.unwrap()
        self._tasks = 0
        self.attached.clear()
        self._ready = True

    async def _stop(self) -> None:
        self._ready = False
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
            await wire.lost
            await in_thread(self._keeper.stop)
