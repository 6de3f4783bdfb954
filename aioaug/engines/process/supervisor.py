"""Keeps one worker process running: it is replaced when it dies, is worn out or too big."""

from __future__ import annotations

import asyncio

from ..._aio.tasks import drop_tasks, ended, together
from ...errors import ClosedError
from .worker import Worker, WorkerConfig


class WorkerSupervisor:
    """A worker that is replaced when it dies, has done its share or has grown too big.

    One that has to leave goes on until the next one is ready: `max_tasks` is exact, so there the
    next one is started along with the last task; `max_memory`, in bytes, may be exceeded meanwhile.
    """

    def __init__(
        self, config: WorkerConfig, *, max_tasks: int | None = None, max_memory: int | None = None
    ) -> None:
        self._config = config
        self._max_tasks = max_tasks
        self._max_memory = max_memory
        self._worker: Worker | None = None
        self._next: Worker | None = None
        self._coming: asyncio.Task[None] | None = None
        self._leaving: dict[asyncio.Task[None], Worker] = {}
        self._changing = asyncio.Lock()
        self._closed = False
        self.restarts = 0  # how often another process took the place of one that was there

    @property
    def pid(self) -> int | None:
        """The number of the worker's process; `None` while there is none."""
        return None if self._worker is None else self._worker.pid

    @property
    def reports_memory(self) -> bool:
        """Whether replies have to say how big the worker is."""
        return self._max_memory is not None

    async def start(self) -> Worker:
        """Make sure that there is a worker which holds the state and may do more work."""
        worker = self._usable()
        if worker is None:
            async with self._changing:
                worker = self._usable() or await self._replace()
        return worker

    async def take_worker(self) -> Worker:
        """The worker for one more task, which has to be given to it at once."""
        worker = self._usable() or await self.start()
        worker.tasks += 1
        if worker.tasks == self._max_tasks:
            self._prepare()
        return worker

    def note_memory(self, size: int) -> None:
        """Take note of how many bytes the worker has for itself."""
        if self._max_memory is not None and size > self._max_memory:
            self._prepare()

    async def close(self) -> None:
        """Let the worker leave in good order; it must be idle."""
        self._closed = True
        await self._end_all(kill=False)

    async def kill(self) -> None:
        """End the worker at once, whatever it does; open requests fail with `ConnectionLost`."""
        self._closed = True
        await self._end_all(kill=True)

    def abandon(self) -> list[Worker]:
        """Need no worker any more, in a thread; returns all of them that there may be."""
        self._closed = True
        drop_tasks((self._coming, *self._leaving))
        there = (self._worker, self._next, *self._leaving.values())
        return [worker for worker in there if worker is not None]

    def _usable(self) -> Worker | None:
        worker = self._worker
        if worker is None or not worker.usable or worker.tasks == self._max_tasks:
            return None
        relieved = self._next is not None and self._next.usable
        return None if relieved else worker

    def _prepare(self) -> None:
        """Start the next worker beside the one that is there."""
        if self._next is None and not self._closed:
            self._next = Worker(self._config)
            self._coming = asyncio.ensure_future(self._start_next(self._next))

    async def _start_next(self, worker: Worker) -> None:
        try:
            await worker.start()
        except Exception:
            # It is tried again when there is somebody to tell what is wrong with it.
            self._next = None

    async def _replace(self) -> Worker:
        if self._coming is not None:
            await asyncio.wait((self._coming,))
        old, self._worker, self._next = self._worker, self._next, None
        self._coming = None
        if old is not None:
            self.restarts += 1
            leaving = asyncio.ensure_future(old.close())
            self._leaving[leaving] = old
            leaving.add_done_callback(self._leaving.pop)
        if self._closed:
            raise ClosedError("the engine was closed")
        worker = self._worker
        if worker is None or not worker.usable:
            worker = self._worker = Worker(self._config)
            await worker.start()
        return worker

    async def _end_all(self, *, kill: bool) -> None:
        ends = []
        if self._worker is not None:
            ends.append(self._worker.kill() if kill else self._worker.close())
        if self._next is not None:
            ends.append(self._next.kill())  # it may be in the middle of its start
        await together(ends)
        await ended(self._leaving)
        if self._coming is not None:
            await asyncio.wait((self._coming,))
