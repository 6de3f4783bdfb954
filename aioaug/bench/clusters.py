"""aioaug's engines on clusters of this machine, and what these clusters do by themselves.

Each way starts a cluster of its own, with its scheduler in a process of its own, too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from itertools import islice
from typing import Any

from .. import AsyncPool
from .._base.optional import need
from ..engines import DaskEngine, RayEngine
from .trial_spec import TrialSpec
from .ways import Augment
from .workloads import WorkloadSource, augmenter

Opened = AbstractAsyncContextManager[AsyncIterator[Any]]


@asynccontextmanager
async def _dask(job: TrialSpec) -> AsyncIterator[Any]:
    """A client of a scheduler and of workers that have one thread each."""
    distributed = need("distributed", extra="dask")
    from distributed.deploy.subprocess import SubprocessCluster

    async with (
        SubprocessCluster(
            n_workers=job.workers, threads_per_worker=1, host="127.0.0.1", asynchronous=True
        ) as cluster,
        distributed.Client(cluster, asynchronous=True, set_as_default=False) as client,
    ):
        await client.wait_for_workers(job.workers)
        yield client


@asynccontextmanager
async def _ray(job: TrialSpec) -> AsyncIterator[Any]:
    """Ray with as many CPUs as there are to be workers."""
    ray = need("ray", extra="ray")
    # Linux kills what Ray started as soon as the thread that called `ray.init` has ended; those of
    # the event loop's own executor live as long as the loop.
    await asyncio.to_thread(
        lambda: ray.init(num_cpus=job.workers, include_dashboard=False, log_to_driver=False)
    )
    try:
        yield ray
    finally:
        await asyncio.to_thread(ray.shutdown)


@asynccontextmanager
async def _pool(engine: Any, job: TrialSpec, source: WorkloadSource) -> AsyncIterator[Any]:
    async with (
        AsyncPool(augmenter(job.workload), seed=1, engine=engine) as pool,
        pool.imap_batches(iter(source), job.what.chunksize, job.lookahead) as stream,
    ):
        yield stream


@asynccontextmanager
async def dask(job: TrialSpec, source: WorkloadSource) -> AsyncIterator[Any]:
    """A pool with `DaskEngine`."""
    async with _dask(job) as client, _pool(DaskEngine(client), job, source) as stream:
        yield stream


@asynccontextmanager
async def dask_map(job: TrialSpec, source: WorkloadSource) -> AsyncIterator[Any]:
    """`client.map`, of half of the batches that may be under way while the others are fetched."""
    function, size = AugmentOnCluster(job.workload), max(1, job.lookahead // 2)

    async def results(client: Any) -> AsyncGenerator[Any, None]:
        batches, before = _images(source), None
        while True:
            futures = client.map(function, list(islice(batches, size)), pure=False)
            if before is not None:
                for result in await client.gather(before):
                    yield result
            before = futures

    async with _dask(job) as client, aclosing(results(client)) as stream:
        yield stream


@asynccontextmanager
async def ray(job: TrialSpec, source: WorkloadSource) -> AsyncIterator[Any]:
    """A pool with `RayEngine`."""
    async with _ray(job), _pool(RayEngine(), job, source) as stream:
        yield stream


@asynccontextmanager
async def ray_tasks(job: TrialSpec, source: WorkloadSource) -> AsyncIterator[Any]:
    """A remote function, as many calls of which are under way as there may be batches."""

    async def results(lib: Any) -> AsyncGenerator[Any, None]:
        task, coming = lib.remote(_augmented), deque[Any]()
        for images in _images(source):
            coming.append(task.remote(job.workload, images))
            if len(coming) >= job.lookahead:
                yield await coming.popleft()

    async with _ray(job) as lib, aclosing(results(lib)) as stream:
        yield stream


class AugmentOnCluster(Augment):
    """Augments images: a worker cannot unpickle a batch of imgaug's before it has met aioaug."""

    def __call__(self, images: Any) -> Any:
        from imgaug.augmentables.batches import UnnormalizedBatch

        return super().__call__(UnnormalizedBatch(images=images))


def _augmented(workload: str, images: Any) -> Any:
    return AugmentOnCluster(workload)(images)


def _images(source: WorkloadSource) -> Iterator[Any]:
    return (batch.images_unaug for batch in source)


CLUSTER_WAYS: dict[str, Callable[[TrialSpec, WorkloadSource], Opened]] = {
    "dask": dask,
    "dask-map": dask_map,
    "ray": ray,
    "ray-tasks": ray_tasks,
}
