"""The workers of a cluster, and the calls that they have."""

from __future__ import annotations

import asyncio

from ..._worker.parcels import Parcel


class ClusterWorker:
    """A worker of a cluster: where it is, and the calls that it has.

    `gone` is done when it has left. `reserved` is set while one call has it to itself.
    """

    def __init__(self, address: str, threads: int) -> None:
        self.address = address
        self.threads = threads
        self.calls: list[ClusterCall] = []
        self.draining = False
        self.reserved = False
        self._empty = asyncio.Event()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def leave(self) -> None:
        """It is gone."""
        if not self.gone.done():
            self.gone.set_result(None)
        self._empty.set()

    async def emptied(self) -> None:
        """Wait until it has no call, or is gone."""
        while self.calls and not self.gone.done():
            self._empty.clear()
            await self._empty.wait()

    def end(self, call: ClusterCall) -> None:
        """It is done with a call."""
        self.calls.remove(call)
        self._empty.set()


class ClusterCall:
    """One call on one worker; `alone` if nothing else can have taken the worker down."""

    def __init__(self, parcel: Parcel, worker: ClusterWorker, alone: bool) -> None:
        self.parcel = parcel
        self.worker = worker
        self.alone = alone
        # Nobody waits for it any more, and it is to be taken back from the cluster.
        self.dropped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def drop(self) -> None:
        """Take it back."""
        if not self.dropped.done():
            self.dropped.set_result(None)


class CallLost(Exception):
    """A call did not come to its end, and is to be sent again.

    `suspect`: it may have taken its worker down, as may others that the worker had. Sent again with
    a worker to itself, it shows.
    """

    def __init__(self, suspect: bool = False) -> None:
        super().__init__(suspect)
        self.suspect = suspect
