"""`DaskEngine`: batches are augmented by the workers of a Dask cluster."""

from __future__ import annotations

from typing import Any, ClassVar

from ..._base.arguments import seconds_or_none
from ..._base.optional import need
from ..base import Engine, State
from .dask_link import DaskLink


class DaskEngine:
    """Has a pool's batches augmented on the workers of a Dask cluster.

    The output is that of every other engine, for the same seed. The augmenter is sent to each
    worker once, also to those that join later; a batch goes straight to its worker, and the result
    comes straight back, where this program can reach the workers, else both go through the
    scheduler. Each thread of a worker has one batch, and each worker one more. A worker that dies
    costs its batches another try with the same seed. Cancelled, a batch is taken back from the
    cluster; what a thread has begun goes on to its end there, and the result is dropped. Leaving
    the pool leaves nothing on the cluster, and the client open.

    Building it starts nothing. It may serve any number of pools.

    Args:
        client: a `distributed.Client(..., asynchronous=True)` on the pool's event loop, or the
            address of a scheduler, such as `"tcp://host:8786"`, for a client that each pool opens
            and closes itself; `None` takes the address from Dask's own configuration.
        direct: whether batches go straight to the workers; `None` tries whether they can.
        patience: how many seconds there may be no worker at all, before calls raise `ClusterLost`.
        reconnect: how many seconds a scheduler may take to answer again after the connection to it
            was lost, before calls raise `ClusterLost`.

    Raises:
        MissingExtra: `distributed` is not installed.
        TypeError, ValueError: an argument is of the wrong type, or the client is a blocking one.

    A pool raises `ClusterLost` if the scheduler does not answer, and `ClusterMismatch` if workers
    have another Python or aioaug than this program; other versions of imgaug, NumPy, OpenCV and
    SciPy, on which pixels may depend, are a `RuntimeWarning` before the first batch.

    Example::

        async with Client("tcp://host:8786", asynchronous=True) as client:
            async with AsyncPool(seq, seed=1, engine=DaskEngine(client)) as pool:
                async for batch in pool.imap_batches(batches, output_buffer_size=32):
                    ...
    """

    options: ClassVar[frozenset[str]] = frozenset({"max_bytes"})
    has_own_workers: ClassVar[bool] = True

    def __init__(
        self,
        client: Any = None,
        *,
        direct: bool | None = None,
        patience: float = 60.0,
        reconnect: float = 5.0,
    ) -> None:
        distributed = need("distributed", extra="dask")
        if client is not None and not isinstance(client, (str, distributed.Client)):
            kind = type(client).__name__
            raise TypeError(f"client must be a distributed.Client or an address, got {kind}")
        if isinstance(client, distributed.Client) and not client.asynchronous:
            raise ValueError(
                "client: it blocks, so it cannot be used on an event loop; make it there by: "
                "await Client(..., asynchronous=True)"
            )
        self._link = DaskLink(
            client,
            direct,
            seconds_or_none("patience", patience) or 60.0,
            seconds_or_none("reconnect", reconnect) or 5.0,
        )

    @property
    def has_a_loop(self) -> bool:
        """Whether it can serve one event loop only, which its client is on."""
        return self._link.client is not None and not isinstance(self._link.client, str)

    def __call__(
        self,
        state: State,
        *,
        workers: int = 1,
        max_tasks: int | None = None,
        max_bytes: int | None = None,
    ) -> Engine:
        """An engine for one pool; a cluster has the workers that it has, whatever is asked for."""
        from .dask_workers import DaskWorkers

        return DaskWorkers(self._link, state, max_bytes=max_bytes)

    def __repr__(self) -> str:
        return f"DaskEngine({self._link.client!r})"
