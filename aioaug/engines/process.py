"""Workers as processes, each supervised on its own: a death costs one call, not the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .. import _slots, machine
from .._tasks import finish, in_thread, together
from .._threads import DaemonExecutor
from .._wire import Reply
from ..errors import ClosedError
from .bank import Bank
from .base import Engine, State
from .courier import Courier, Parcel
from .desk import Desk
from .keeper import context_for
from .lane import Lane

# Calls under way per worker: one in its hands, one ready to follow.
_CALLS_PER_WORKER = 2
# Results that callers may hold in shared memory before they are copied out of it.
_HELD = 8


class ProcessEngine(Engine):
    """Runs calls in worker processes; state, arguments and results must pickle.

    Large arrays travel in shared memory: results are writable views of it, and the memory is
    used again when the last view is gone. When callers hold many results, further ones are
    copied out, as all are with `copy`. `max_bytes` is the most shared memory there may be, by
    default a quarter of the machine's; where it does not do, objects are pickled whole.

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
    ) -> None:
        super().__init__(state, workers=workers, max_tasks=max_tasks)
        self._context = context_for(start_method)
        self._threads = DaemonExecutor(2, "aioaug-engine")
        reserve = _CALLS_PER_WORKER * workers
        self._bank = Bank(
            reserve + _HELD, machine.memory() // 4 if max_bytes is None else max_bytes
        )
        self._courier = Courier(self._bank, self._threads, reserve=reserve, copy=copy)
        self._desk: Desk[Lane] = Desk()
        self._lanes: list[Lane] = []
        self._starting = asyncio.Lock()
        self._started = False
        self._closed = False

    async def start(self) -> None:
        if self._started and not self._closed:
            return
        async with self._starting:
            if self._closed:
                raise ClosedError("the engine is closed")
            if not self._started:
                try:
                    await self._start()
                except BaseException:
                    await self.aclose(kill=True)
                    raise
                self._started = True

    async def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        with self._desk.visit():
            await self.start()
            parcel = await self._courier.pack((fn, args))
            try:
                lane = await self._desk.take()
            except BaseException:
                self._courier.release(parcel)
                raise
            reply = await self._desk.run(
                lane,
                asyncio.ensure_future(self._carry(lane, parcel)),
                unwanted=lambda reply: self._courier.discard(parcel, reply),
            )
            return (await self._courier.unpack(parcel, reply)).unwrap()

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        try:
            await self._desk.close(wait=not kill)
        finally:
            await finish(self._end(kill))

    async def _carry(self, lane: Lane, parcel: Parcel) -> Reply:
        try:
            return await lane.work(lambda: parcel.request(lane.attached, self._bank.numbers))
        except BaseException:
            self._courier.release(parcel)  # whoever held it is dead
            raise

    async def _start(self) -> None:
        state = await asyncio.wrap_future(self._threads.submit(_slots.pickled, self._state))
        self._lanes = [Lane(self._context, state, self.max_tasks) for _ in range(self.workers)]
        await together(lane.start() for lane in self._lanes)
        self._desk.open(self._lanes)

    async def _end(self, kill: bool) -> None:
        busy = self._desk.busy
        await asyncio.gather(
            *(lane.kill() if kill or lane in busy else lane.close() for lane in self._lanes)
        )
        await self._desk.drain()
        await in_thread(self._threads.shutdown)
        self._bank.close()
