"""How calls get to a worker of Dask without its scheduler: the two ends of one connection.

The program's end sends parcels, numbered from 1, and the worker's end answers each with what became
of it, in any order. A parcel waits there for the task that runs it, which the scheduler has been
given: so the scheduler decides when a call runs, and never sees its bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import uuid
from contextlib import suppress
from typing import Any

from distributed.comm import connect
from distributed.protocol import to_serialize

from ..._worker import parcels
from ..._worker.parcels import Parcel, StateMissing

_READY = "ready"
# What a connection that broke raises: `CommClosedError` is an OSError.
BROKEN = (OSError, TimeoutError)


class CallChannel:
    """The program's end."""

    def __init__(self, comm: Any, name: str) -> None:
        self.name = name
        self._comm = comm
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Parcel]] = {}
        self._sending = asyncio.Lock()
        self._tasks = {asyncio.create_task(self._receive())}

    @classmethod
    async def open(
        cls, address: str, operation: str, seconds: float, options: dict[str, Any]
    ) -> CallChannel:
        """Connect to a worker; one of `BROKEN` if that takes longer or the worker refuses."""
        async with asyncio.timeout(seconds):
            comm = await connect(address, timeout=seconds, **options)
            try:
                name = uuid.uuid4().hex
                await comm.write({"op": operation, "name": name, "reply": True})
                if await comm.read() != _READY:
                    raise OSError(f"the worker {address} does not know {operation}")
            except BaseException:
                comm.abort()
                raise
        return cls(comm, name)

    @property
    def closed(self) -> bool:
        """Whether it broke or was closed."""
        return bool(self._comm.closed())

    async def send(self, parcel: Parcel) -> tuple[int, asyncio.Future[Parcel]]:
        """The number of a parcel that is on its way, and its answer to come."""
        async with self._sending:  # the other end tells by their numbers which have come
            number = next(self._numbers)
            await self._comm.write({"number": number, "parcel": to_serialize(parcel)})
            answer = self._answers[number] = asyncio.get_running_loop().create_future()
        return number, answer

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        if self._answers.pop(number, None) is not None and not self.closed:
            task = asyncio.create_task(self._take_back(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Hang up; calls that wait raise one of `BROKEN`, and the worker drops what it has."""
        self._comm.abort()
        await asyncio.wait(self._tasks)

    async def _take_back(self, number: int) -> None:
        with suppress(*BROKEN):
            async with self._sending:
                await self._comm.write({"number": number, "parcel": None})

    async def _receive(self) -> None:
        try:
            while True:
                message = await self._comm.read()
                answer = self._answers.pop(message["number"], None)
                if answer is not None and not answer.done():
                    answer.set_result(message["parcel"])
                message = answer = None  # or the last result would be kept until the next one
        except BROKEN as error:
            self._break(error)
        except BaseException:
            self._break(OSError("the connection was closed"))
            raise

    def _break(self, error: BaseException) -> None:
        self._comm.abort()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # asked for, or asyncio would report what nobody awaits
        self._answers.clear()


class WorkerEnd:
    """The worker's end; its methods but `serve` are for the threads that run tasks."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._parcels: dict[int, Parcel] = {}
        self._last = 0  # the number of the last that came
        self._at_work: set[int] = set()  # those whose outcome somebody waits for
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Take parcels in until the program hangs up, and then drop what is left of them."""
        try:
            await self._comm.write(_READY)
            while True:
                message = await self._comm.read()
                self._note(message["number"], message["parcel"])
                del message
        finally:
            with self._changed:
                self._closed = True
                self._parcels.clear()
                self._changed.notify_all()

    def take(self, number: int) -> Parcel:
        """The parcel with this number, as soon as it is there; `StateMissing` if it was dropped."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or number <= self._last)
            parcel = self._parcels.pop(number, None)
            if parcel is None:
                raise StateMissing(f"the call {number} was taken back")
            self._at_work.add(number)
        return parcel

    def answer(self, number: int, parcel: Parcel | None) -> None:
        """Send what became of a call; nothing of one that could not be run."""
        with suppress(RuntimeError):  # the worker's loop is closed
            self._loop.call_soon_threadsafe(self._send, number, parcel)

    def _note(self, number: int, parcel: Parcel | None) -> None:
        with self._changed:
            if parcel is not None:
                self._last, self._parcels[number] = number, parcel
                self._changed.notify_all()
            else:
                self._parcels.pop(number, None)
                self._at_work.discard(number)

    def _send(self, number: int, parcel: Parcel | None) -> None:
        wanted = number in self._at_work and not self._closed
        self._at_work.discard(number)
        if parcel is None or not wanted:
            return
        task = asyncio.create_task(self._write(number, parcel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, number: int, parcel: Parcel) -> None:
        with suppress(*BROKEN):
            await self._comm.write({"number": number, "parcel": to_serialize(parcel)})


_ends: dict[str, WorkerEnd] = {}


async def serve(comm: Any, name: str) -> None:
    """A handler of messages to a worker: one program's channel from its beginning to its end."""
    end = _ends[name] = WorkerEnd(comm)
    try:
        await end.serve()
    finally:
        del _ends[name]


def run_sent(token: str, channel: str, number: int) -> None:
    """The task of a call whose parcel goes to the worker by itself, and so does its outcome.

    `StateMissing` if it does not come: the scheduler may have moved the task to another worker.
    """
    end = _ends.get(channel)
    if end is None:
        raise StateMissing(f"this worker has no call {number} of the channel {channel}")
    parcel, outcome = end.take(number), None
    try:
        outcome = parcels.run_parcel(token, parcel)
    finally:
        end.answer(number, outcome)
