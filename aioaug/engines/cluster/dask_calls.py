"""The two ways of a call to a worker of Dask: straight, or through the scheduler."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..._worker import parcels
from ..._worker.parcels import Parcel
from .dask_channel import CallChannel, run_sent
from .members import ClusterCall

# Seconds for one attempt to reach a worker straight.
_REACH = 2.0


class DaskCalls(Protocol):
    """Runs calls as tasks of Dask's, each on the worker that was chosen for it."""

    async def run(self, call: ClusterCall) -> Parcel | None:
        """What becomes of a call; `None` as soon as it is dropped.

        Raises what Dask raises if the task did not come to its end, or a connection broke.
        """

    def leave(self, address: str) -> None:
        """A worker is gone."""

    async def close(self) -> None:
        """No outcome is wanted any more: leave nothing on the cluster."""


class StraightCalls:
    """Parcels go to workers and back on a channel to each, and the tasks are only their numbers.

    So the scheduler has one small task for each call under way, which it may move: then the call
    is lost, since its parcel is not moved with it. An answer is had as soon as it is there; the
    scheduler hears of the end of the task a little later, and the task is released then.
    """

    def __init__(self, client: Any, topic: str, token: str) -> None:
        self._client = client
        self._topic = topic
        self._token = token
        self._channels: dict[str, asyncio.Task[CallChannel]] = {}
        self._under_way: dict[Any, str] = {}  # tasks that the scheduler knows, and their workers
        self._tasks: set[asyncio.Task[None]] = set()

    async def reach(self, address: str) -> CallChannel:
        """The channel to a worker; an OSError if it cannot be reached."""
        opening = self._channels.get(address)
        if opening is None or (opening.done() and _broke(opening)):
            opening = self._channels[address] = asyncio.create_task(
                CallChannel.open(address, self._topic, _REACH, self._client.connection_args)
            )
        await asyncio.wait((opening,))  # a call that is dropped meanwhile is not the only one
        return opening.result()

    async def run(self, call: ClusterCall) -> Parcel | None:
        """See `DaskCalls`."""
        address = call.worker.address
        channel = await self.reach(address)
        number, answer = await channel.send(call.parcel)
        if call.dropped.done():
            channel.forget(number)
            return None
        key = f"{self._topic}-{channel.name}-{number}"
        task = _submit(self._client, address, key, run_sent, self._token, channel.name, number)
        self._under_way[task] = address
        self._spawn(self._watch(task, answer))
        await asyncio.wait((answer, call.dropped), return_when=asyncio.FIRST_COMPLETED)
        if answer.done() and answer.exception() is None:
            return answer.result()
        task.release()
        channel.forget(number)
        return answer.result() if answer.done() else None

    def leave(self, address: str) -> None:
        """See `DaskCalls`."""
        opening = self._channels.pop(address, None)
        if opening is not None:
            self._spawn(_close(opening))
        for task, place in tuple(self._under_way.items()):
            if place == address:
                task.release()  # Dask would keep it, and wait for that worker to come back

    async def close(self) -> None:
        """See `DaskCalls`."""
        for address in {*self._channels, *self._under_way.values()}:
            self.leave(address)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _watch(self, task: Any, answer: asyncio.Future[Parcel]) -> None:
        """Have the error of a task be its answer; release the task when the scheduler is done."""
        try:
            error = await _error(task)
            if error is not None and not answer.done():
                answer.set_exception(error)
                answer.exception()  # asked for, or asyncio would report what nobody awaits
        finally:
            task.release()
            del self._under_way[task]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class ScatteredCalls:
    """For workers that this program cannot reach: the scheduler passes parcels on, both ways."""

    def __init__(self, client: Any, topic: str, token: str) -> None:
        self._client = client
        self._topic = topic
        self._token = token
        self._numbers = itertools.count(1)

    async def run(self, call: ClusterCall) -> Parcel | None:
        """See `DaskCalls`."""
        client, address = self._client, call.worker.address
        [data] = await client.scatter([call.parcel], workers=[address], direct=False, hash=False)
        if call.dropped.done():
            return None
        key = f"{self._topic}-{next(self._numbers)}"
        future = _submit(client, address, key, parcels.run_parcel, self._token, data)
        try:
            ended = asyncio.ensure_future(_error(future))
            await asyncio.wait((ended, call.dropped), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                ended.cancel()
                return None
            error = ended.result()
            if error is not None:
                raise error
            # Several calls fetch their results by one request, so this must not be cancelled.
            reply: Parcel = await client.gather(future, direct=False)
            return reply
        finally:
            future.release()
            data.release()

    def leave(self, address: str) -> None:
        """See `DaskCalls`."""

    async def close(self) -> None:
        """See `DaskCalls`."""


def _submit(
    client: Any, address: str, key: str, function: Callable[..., Any], *arguments: Any
) -> Any:
    """A task for this worker; where it is gone, Dask may run the task on another one.

    Otherwise the task of a worker that left would wait for as long as that one stays away.
    """
    return client.submit(
        function, *arguments, key=key, pure=False, workers=[address], allow_other_workers=True
    )


async def _error(future: Any) -> BaseException | None:
    """Why a task did not come to its end, if it did not."""
    error: BaseException | None = await future.exception()
    if error is None and future.status == "cancelled":
        error = future._state.exception
    return error


async def _close(opening: asyncio.Task[CallChannel]) -> None:
    opening.cancel()
    await asyncio.wait((opening,))
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().close()


def _broke(opening: asyncio.Task[CallChannel]) -> bool:
    return opening.cancelled() or opening.exception() is not None or opening.result().closed
