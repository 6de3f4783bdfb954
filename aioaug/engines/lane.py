"""One worker, supervised from the event loop: started, asked, replaced, ended."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from multiprocessing.context import BaseContext

from .. import _slots
from .._tasks import finish, in_thread
from .._wire import Reply
from ..errors import ClosedError, WorkerDied
from ..outcomes import Failure
from .keeper import Keeper
from .wire import Wire


class Lane:
    """A worker process that is replaced when it dies or has done its share."""

    def __init__(self, context: BaseContext, state: bytes, max_tasks: int | None) -> None:
        self.attached: set[int] = set()  # the shared segments that the worker has open
        self._state = state
        self._max_tasks = max_tasks
        self._tasks = 0
        self._keeper = Keeper(context)
        self._wire: Wire | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the worker if there is none, and wait until it holds the state."""
        if self._wire is not None and not self._wire.lost.done():
            return
        await self._stop()
        await finish(self._connect())
        started = _slots.rebuild((await self._ask(self._state, "starting")).head)
        if isinstance(started, Failure):
            await self._stop()
            started.unwrap()

    async def work(self, message: Callable[[], bytes]) -> Reply:
        """Have the worker answer a message; at most one such call at a time.

        The message is made when the worker is there, as it may depend on `attached`.
        """
        if self._tasks == self._max_tasks:
            await self._stop()
        await self.start()
        self._tasks += 1
        return await self._ask(message(), "working")

    async def close(self) -> None:
        """Let the worker leave in good order; it must be idle."""
        self._closed = True
        await self._stop()

    async def kill(self) -> None:
        """End the worker at once, whatever it does. A call under way raises `ClosedError`."""
        self._closed = True
        await in_thread(self._keeper.kill)
        await self._stop()

    async def _connect(self) -> None:
        connection = await in_thread(self._keeper.spawn)
        _, self._wire = await asyncio.get_running_loop().create_connection(Wire, sock=connection)
        self._tasks = 0
        self.attached.clear()

    async def _ask(self, message: bytes, doing: str) -> Reply:
        if self._wire is None or self._closed:
            raise ClosedError("the engine was closed")
        try:
            return Reply(*pickle.loads(await self._wire.ask(message)))
        except EOFError:
            await self._stop()
            if self._closed:
                raise ClosedError("the engine was closed") from None
            raise WorkerDied(self._keeper.exitcode, doing) from None

    async def _stop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
            await wire.lost
            await in_thread(self._keeper.stop)
