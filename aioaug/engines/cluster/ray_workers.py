"""The engine of one pool on a cluster of Ray; this needs `ray`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import ray
from ray.exceptions import (
    GetTimeoutError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayError,
    RaySystemError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..._aio.tasks import in_thread
from ..._base.threads import DaemonExecutor
from ..._worker import parcels
from ..._worker.parcels import Parcel, StateMissing
from ...errors import ClusterLost, WorkerDied
from ..base import State
from .base import ClusterEngine
from .fitting import check_versions
from .members import CallLost, ClusterCall

# Seconds after which a result has the nodes be looked up again: Ray does not tell of new ones.
_LOOK_AGAIN = 5.0
# A node has to run its first task within so many seconds; it may have to start a process for it.
_PATIENCE = 60.0
_DEATHS = (
    WorkerCrashedError,
    OutOfMemoryError,
    NodeDiedError,
    ObjectLostError,
    LocalRayletDiedError,
)


class RayWorkers(ClusterEngine):
    """Each call is a task of Ray's; a node with several CPUs is one worker with as many threads.

    Ray is not asked to try again: whether a batch is worth that is for the pool to say.
    """

    def __init__(self, address: str | None, state: State, *, max_bytes: int | None = None) -> None:
        super().__init__(state, workers=1, max_bytes=max_bytes)
        self._address = address
        self._ray: DaemonExecutor | None = None  # the thread that began Ray, if this engine did
        self._state_ref: Any = None
        self._tasks_of: dict[str, Any] = {}
        self._versions: dict[str, str] = {}
        self._looked = 0.0

    async def _open(self, state: bytes) -> None:
        self._versions = await in_thread(parcels.versions)
        await in_thread(self._begin, state)
        await self._look(strict=True)
        if not self._members:
            raise ClusterLost("Ray has no node with a CPU; start one by: ray start")

    def _begin(self, state: bytes) -> None:
        try:
            if not ray.is_initialized():
                self._ray = _begun(self._address)
            # An array is read where it lies, while bytes would be copied for each task.
            self._state_ref = ray.put(np.frombuffer(state, np.uint8))
        except (ConnectionError, RaySystemError) as error:
            raise ClusterLost(
                f"Ray does not answer at {self._address}: {error}; start it by: ray start --head"
            ) from error

    async def _look(self, *, strict: bool = False) -> None:
        """Take in the nodes that there are now."""
        self._looked = perf_counter()
        nodes = {node["NodeID"]: node for node in await in_thread(ray.nodes) if node["Alive"]}
        for gone in self._members.keys() - nodes.keys():
            self._left(gone)
        for name, node in nodes.items():
            threads = int(node["Resources"].get("CPU", 0))
            if threads and name not in self._members:
                await self._admit(name, threads, strict)

    async def _admit(self, name: str, threads: int, strict: bool) -> None:
        task = _on_node(_describe_here, name)
        try:
            about = await in_thread(
                lambda: ray.get(task.remote(self._token, self._state_ref), timeout=_PATIENCE)
            )
            check_versions(name, about["versions"], self._versions)
            if about["failure"] is not None:
                about["failure"].open().unwrap()
        except GetTimeoutError as error:
            if strict:
                raise ClusterLost(
                    f"the node {name} ran no task within {_PATIENCE:g} s; is another program using "
                    "all its CPUs?"
                ) from error
            return
        except Exception:
            if strict:
                raise
            return
        self._tasks_of[name] = _on_node(_run_here, name)
        self._joined(name, threads)

    async def _run(self, call: ClusterCall) -> Parcel | None:
        try:
            return await self._perform(call)
        except _DEATHS:
            # Each task has a process to itself, but that may have been at its end when it was
            # given the task. So this is the task's own doing only if it happens again.
            if call.dropped.done():
                return None
        try:
            return await self._perform(call)
        except _DEATHS as error:
            raise WorkerDied(None, "working") from error

    async def _perform(self, call: ClusterCall) -> Parcel | None:
        coming = await asyncio.wrap_future(self._threads.submit(self._send, call))
        ended = asyncio.wrap_future(coming)
        await asyncio.wait((ended, call.dropped), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            # The task goes on to its end, even if it has not begun: `ray.cancel` sends an
            # interrupt to one that has, which may meet the loading of the state, or the next task.
            ended.cancel()
            return None
        if perf_counter() - self._looked > _LOOK_AGAIN:
            self._looked = perf_counter()
            self._spawn(self._look())
        try:
            reply: Parcel = ended.result()
            return reply
        except _DEATHS:
            raise
        except TaskCancelledError as error:  # by somebody else
            raise CallLost from error
        except RayTaskError as error:
            if isinstance(error.cause, StateMissing):
                raise CallLost from error
            raise (error.cause or error) from error
        except RayError as error:
            lost = ClusterLost(f"Ray went away: {error}; start it again, and then a new pool")
            self._lose(lost)
            raise lost from error

    def _send(self, call: ClusterCall) -> Future[Any]:
        parcel = ray.put(call.parcel)
        task = self._tasks_of[call.worker.address]
        coming: Future[Any] = task.remote(self._token, self._state_ref, parcel).future()
        return coming

    async def _shut(self, *, kill: bool) -> None:
        self._state_ref = None
        if self._ray is not None:
            began, self._ray = self._ray, None
            await in_thread(ray.shutdown)
            began.shutdown(wait=False)


def _begun(address: str | None) -> DaemonExecutor:
    """Begin Ray, in a thread that has to live for as long as Ray is used.

    Ray has the system kill its own programs when what started them ends, and for Linux that is the
    thread. A program whose Ray is killed so is ended by it.
    """
    thread = DaemonExecutor(1, "aioaug-ray")
    begin = partial(ray.init, address=address, include_dashboard=False, log_to_driver=False)
    try:
        thread.submit(begin).result()
    except BaseException:
        thread.shutdown(wait=False)
        raise
    return thread


def _on_node(fn: Callable[..., Any], node: str) -> Any:
    """A task that goes to this node, or to another one if this is not there any more."""
    affinity = NodeAffinitySchedulingStrategy(node, soft=True)
    return ray.remote(num_cpus=1, max_retries=0, scheduling_strategy=affinity)(fn)


def _describe_here(token: str, state: Any) -> dict[str, Any]:
    parcels.keep_last_state(token, state)
    return parcels.describe(token)


def _run_here(token: str, state: Any, parcel: Parcel) -> Parcel:
    parcels.keep_last_state(token, state)
    return parcels.run_parcel(token, parcel)
