"""`RayEngine`: batches are augmented by the workers of a Ray cluster."""

from __future__ import annotations

from typing import ClassVar

from ..._base.optional import need
from ..base import Engine, State


class RayEngine:
    """Has a pool's batches augmented on Ray: `AsyncPool(seq, engine=RayEngine())`.

    The output is that of every other engine, for the same seed. The augmenter is put into Ray's
    object store once, and each worker process unpickles it once; a batch goes through the object
    store of this machine to the node that has the fewest, and is one task of one CPU there. Each
    CPU has one batch, and each node one more. A worker or node that dies costs its batches another
    try with the same seed. Cancelled, a batch that is on the cluster goes on to its end, and the
    result is dropped. New nodes are noticed as results come.

    Building it starts nothing. It may serve any number of pools.

    Args:
        address: where Ray runs, as in `ray.init`, such as `"auto"` or `"ray://head:10001"`. If the
            program has called `ray.init` already, that is used, else the pool calls it, and
            `ray.shutdown` in the end; `None` starts Ray on this machine, unless `RAY_ADDRESS` says
            otherwise.

    Raises:
        MissingExtra: `ray` is not installed.

    A pool raises `ClusterLost` if Ray does not answer, and `ClusterMismatch` as with `DaskEngine`.

    Example::

        async with AsyncPool(seq, seed=1, engine=RayEngine("auto")) as pool:
            async for batch in pool.imap_batches(batches, output_buffer_size=32):
                ...
    """

    options: ClassVar[frozenset[str]] = frozenset({"max_bytes"})
    has_own_workers: ClassVar[bool] = True

    def __init__(self, address: str | None = None) -> None:
        need("ray", extra="ray")
        if address is not None and not isinstance(address, str):
            raise TypeError(f"address must be text or None, got {type(address).__name__}")
        self.address = address

    def __call__(
        self,
        state: State,
        *,
        workers: int = 1,
        max_tasks: int | None = None,
        max_bytes: int | None = None,
    ) -> Engine:
        """An engine for one pool; a cluster has the workers that it has, whatever is asked for."""
        from .ray_workers import RayWorkers

        return RayWorkers(self.address, state, max_bytes=max_bytes)

    def __repr__(self) -> str:
        return f"RayEngine({self.address!r})"
