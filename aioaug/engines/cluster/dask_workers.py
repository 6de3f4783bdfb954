"""The engine of one pool on a cluster of Dask; this needs `distributed`."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import suppress
from typing import Any

from distributed import Client, KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm import connect

from ..._aio.tasks import in_thread
from ..._worker import parcels
from ..._worker.parcels import Parcel, StateMissing
from ...errors import ClusterLost, ClusterMismatch, WorkerDied
from ..base import State
from .base import ClusterEngine
from .dask_calls import DaskCalls, ScatteredCalls, StraightCalls
from .dask_channel import BROKEN
from .dask_link import DaskLink
from .dask_plugins import StatePlugin, WorkerWatch
from .fitting import check_versions
from .members import CallLost, ClusterCall

# Seconds for leaving a cluster.
_LEAVE = 10.0
_LEAVE_AT_ONCE = 1.0


class DaskWorkers(ClusterEngine):
    """Each call is a task of Dask's, on the worker that this engine's own line chose.

    How its parcel gets there is for `DaskCalls`. Tasks are released as soon as their result is
    here, so the scheduler knows of as many as are under way.
    """

    def __init__(self, link: DaskLink, state: State, *, max_bytes: int | None = None) -> None:
        super().__init__(state, workers=1, max_bytes=max_bytes)
        self._link = link
        self._topic = f"aioaug-{self._token}"
        self._client: Any = None
        self._calls: DaskCalls  # there is one as soon as there is a client
        self._pickled = b""
        self._versions: dict[str, str] = {}
        self._admitting = asyncio.Lock()
        self._kept: Any = None
        self._recovering: asyncio.Task[None] | None = None
        self._running_dry: asyncio.TimerHandle | None = None

    async def _open(self, state: bytes) -> None:
        self._pickled = state
        self._versions = await in_thread(parcels.versions)
        self._client = await self._connected()
        self._calls = straight = StraightCalls(self._client, self._topic, self._token)
        await self._register()
        if not await self._client.scheduler.ncores_running(workers=None):
            await self._call_for_workers()
        async with self._admitting:
            await self._admit(None, strict=True)
        # Whenever the last task of a group is released, the scheduler keeps what it knows of the
        # group, for as long as it runs, and begins another one.
        self._kept = self._client.submit(str, key=f"{self._topic}-0", pure=False)
        if self._link.direct is False or not (self._link.direct or await self._reaches(straight)):
            self._calls = ScatteredCalls(self._client, self._topic, self._token)
            await straight.close()

    async def _connected(self) -> Any:
        given = self._link.client
        if isinstance(given, Client):
            if getattr(given.loop, "asyncio_loop", None) is not asyncio.get_running_loop():
                raise RuntimeError("the client is on another event loop; make it on the pool's one")
            if given.status == "closed":
                raise ClusterLost("the client is closed; give the engine one that is open")
            return await given
        client = Client(
            given, asynchronous=True, set_as_default=False, timeout=self._link.reconnect
        )
        try:
            return await client
        except BROKEN as error:
            await client.close(timeout=_LEAVE_AT_ONCE)
            raise ClusterLost(
                f"no scheduler of Dask answers at {given}: {error}; start one by: dask scheduler"
            ) from error

    async def _register(self) -> None:
        client, plugin = self._client, self._topic
        client.subscribe_topic(self._topic, self._heard)
        watch = WorkerWatch(self._topic, client.id, plugin)
        await client.register_plugin(watch, name=watch.name)
        try:
            await client.register_plugin(
                StatePlugin(self._token, self._topic, self._pickled), name=plugin
            )
        except ModuleNotFoundError as error:
            raise ClusterMismatch(
                f"a worker lacks the module {error.name}; install there what this program uses: "
                "pip install aioaug"
            ) from error

    async def _call_for_workers(self) -> None:
        """Have a task wait for the first worker: without one, adaptive clusters start none."""
        client = self._client
        future = client.submit(parcels.versions, key=f"{self._topic}-first", pure=False)
        try:
            async with asyncio.timeout(self._link.patience):
                await future.exception()
        except TimeoutError as error:
            raise self._without_workers() from error
        finally:
            future.release()

    def _without_workers(self) -> ClusterLost:
        seconds = self._link.patience
        return ClusterLost(
            f"the cluster at {self._address} had no worker for {seconds:g} s; start some by: dask "
            f"worker {self._address}"
        )

    @property
    def _address(self) -> str:
        return str(self._client.scheduler.address)

    async def _admit(self, addresses: list[str] | None, *, strict: bool = False) -> None:
        """Take in workers that fit; of others, `strict` raises why, else a warning says it."""
        client = self._client
        found = await client.run(
            parcels.describe, self._token, workers=addresses, on_error="return"
        )
        threads = await client.scheduler.ncores_running(workers=addresses)
        for address, about in found.items():
            if isinstance(about, Exception):
                if strict:
                    raise about
                continue
            try:
                check_versions(address, about["versions"], self._versions)
                if about["failure"] is not None:
                    about["failure"].open().unwrap()
            except Exception as error:
                if strict:
                    raise
                warnings.warn(f"a worker is not used: {error}", RuntimeWarning, stacklevel=2)
                continue
            if address in threads:
                self._joined(address, threads[address])

    async def _reaches(self, straight: StraightCalls) -> bool:
        """Whether this program can reach all workers that there are."""
        found = await asyncio.gather(*map(straight.reach, self._members), return_exceptions=True)
        return not any(isinstance(each, BROKEN) for each in found)

    def _heard(self, event: tuple[float, Any]) -> None:
        _, message = event
        address = message["worker"]
        if message["action"] == "left":
            self._left(address)
        elif message["action"] == "ready":
            self._spawn(self._admit_later(address))
        elif message["status"] == "running":
            self._resumed(address)
        else:
            self._draining(address)

    async def _admit_later(self, address: str) -> None:
        with suppress(*BROKEN, ValueError):  # it may have left again
            async with self._admitting:
                if address not in self._members:
                    await self._admit([address])

    def _left(self, address: str) -> None:
        super()._left(address)
        self._calls.leave(address)

    def _count(self) -> None:
        super()._count()
        if self._running_dry is not None:
            self._running_dry.cancel()
            self._running_dry = None
        if not self._members and not self._closed:
            loop = asyncio.get_running_loop()
            self._running_dry = loop.call_later(
                self._link.patience, lambda: self._lose(self._without_workers())
            )

    async def _run(self, call: ClusterCall) -> Parcel | None:
        try:
            return await self._calls.run(call)
        except FutureCancelledError as error:
            if str(error.reason).startswith("scheduler"):
                await self._recover()
            else:
                await self._look_for(call)
            raise CallLost from error
        except StateMissing as error:
            raise CallLost from error
        except KilledWorker as error:
            raise WorkerDied(None, "working") from error
        except BROKEN as error:
            await self._look_for(call)
            raise CallLost from error

    async def _look_for(self, call: ClusterCall) -> None:
        """After a call was lost: is its worker there, and the scheduler?"""
        address = call.worker.address
        try:
            async with asyncio.timeout(self._link.reconnect):
                there = await self._client.scheduler.ncores_running(workers=None)
        except BROKEN:
            await self._recover()
        else:
            if address not in there:
                self._left(address)

    async def _recover(self) -> None:
        """Find the scheduler again, once for all calls that lost it."""
        if self._recovering is None or self._recovering.done():
            self._recovering = self._spawn(self._reconnect())
        await asyncio.wait((self._recovering,))

    async def _reconnect(self) -> None:
        client, seconds = self._client, self._link.reconnect
        try:
            async with asyncio.timeout(seconds):
                comm = await connect(self._address, timeout=seconds, **client.connection_args)
                await comm.close()
                there = await client.scheduler.ncores_running(workers=None)
            await self._register()
            for address in self._members.keys() - there.keys():
                self._left(address)
            async with self._admitting:
                await self._admit(None)
        except (*BROKEN, ValueError, RuntimeError) as error:
            self._lose(
                ClusterLost(
                    f"the scheduler at {self._address} went away, and did not answer again within "
                    f"{seconds:g} s: {str(error) or type(error).__name__}; start it again, and "
                    "then a new pool"
                )
            )

    async def _shut(self, *, kill: bool) -> None:
        if self._running_dry is not None:
            self._running_dry.cancel()
        client = self._client
        if client is None:
            return
        await self._calls.close()
        if self._kept is not None:
            self._kept.release()
        # What cannot be done now does the scheduler, when it notices that the client has gone.
        with suppress(*BROKEN, ValueError, RuntimeError):
            async with asyncio.timeout(_LEAVE_AT_ONCE if kill else _LEAVE):
                client.unsubscribe_topic(self._topic)
                if self._lost is None:
                    await self._unregister()
        if client is not self._link.client:
            await client.close(timeout=_LEAVE_AT_ONCE)

    async def _unregister(self) -> None:
        client = self._client
        try:
            await client.unregister_worker_plugin(self._topic)
        finally:  # a worker that has just died cannot answer
            await client.unregister_scheduler_plugin(f"{self._topic}-watch")
