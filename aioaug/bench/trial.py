"""One round of one way, as a program: a job as its argument, figures as JSON on stdout.

A trial starts the way's workers and takes results without a pause: some to warm up, some against
the clock, some beside an event loop whose lag is measured, and a few more between looks at the
memory. The source never ends in between, so the clock starts and stops with the pipeline full.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from .. import AsyncPool, run
from .._aio.lag import LagNotes
from .._base.optional import need
from . import memory
from .clusters import CLUSTER_WAYS, Opened
from .files import FILE_WAYS, our_batches
from .peers import OURS, PEERS
from .requests import measure_requests
from .train import TRAIN_WAYS, our_tensors, pool_options
from .trial_spec import ASYNCIO, TrialSpec
from .ways import WAYS
from .workloads import WorkloadSource, augmenter, touch

_LOOKS = 4  # how often the memory is measured


class Duration(NamedTuple):
    """How long results are taken: for so many seconds, and until there are so many."""

    seconds: float
    batches: int


class TrialPlan:
    """The stretches of a trial."""

    def __init__(self, job: TrialSpec) -> None:
        calls = job.workers * job.what.chunksize
        self.warm = Duration(min(0.3, job.seconds), 2 * calls)
        self.timed = Duration(job.seconds, 4 * calls)
        if job.batches is not None:
            self.timed = Duration(0, job.batches)
        self.lag = Duration(job.seconds / 2, 1)
        self.look = Duration(0.05, 1)


def main() -> None:
    """Do the job in the argument."""
    warnings.simplefilter("ignore")
    job = TrialSpec.loads(sys.argv[1])
    source = None if job.what.files else WorkloadSource(job.what)
    augmenter(job.workload)
    need(PEERS[job.way].module, extra="bench")
    start = asyncio.run if job.loop == ASYNCIO else run
    if job.what.tasks:
        figures = start(measure_requests(job))
    elif job.way == OURS:
        figures = start(_asynchronous(job, _ours(job, source)))
    elif source is not None and job.way in CLUSTER_WAYS:
        figures = start(_asynchronous(job, CLUSTER_WAYS[job.way](job, source)))
    else:
        figures = _synchronous(job, source)
    sys.stdout.write(json.dumps(figures) + "\n")


@asynccontextmanager
async def _ours(job: TrialSpec, source: WorkloadSource | None) -> AsyncIterator[Any]:
    options = pool_options() if job.what.tensors else {"accelerate": job.what.accelerate}
    async with (
        AsyncPool(augmenter(job.workload), job.workers, seed=1, **options) as pool,
        _results(pool, job, source) as stream,
    ):
        yield stream


async def _asynchronous(job: TrialSpec, opened: Opened) -> dict[str, Any]:
    plan = TrialPlan(job)
    began = perf_counter()
    async with opened as stream:
        take = partial(_take, stream, job.unit)
        await _take(stream, 1, Duration(0, 1))
        first = perf_counter() - began
        await take(plan.warm)
        clock = await take(plan.timed)
        ticker = LagNotes()
        await take(plan.lag)
        late = ticker.stop()
        looks = []
        for _ in range(_LOOKS):
            await take(plan.look)
            looks.append(memory.held())
    return _figures(first, clock, late, looks)


def _results(pool: AsyncPool, job: TrialSpec, source: WorkloadSource | None) -> Any:
    if job.what.tensors:
        return our_tensors(pool, job)
    if source is None:
        return pool.imap_batches(our_batches(job), 1, job.lookahead)
    if job.what.listed:
        return aclosing(_of_lists(pool, source.lists(job.what.listed)))
    return pool.imap_batches(_without_waiting(source), job.what.chunksize, job.lookahead)


async def _of_lists(pool: AsyncPool, lists: Iterator[list[Any]]) -> AsyncIterator[Any]:
    for batches in lists:
        for result in await pool.map_batches(batches):
            yield result


def _synchronous(job: TrialSpec, source: WorkloadSource | None) -> dict[str, Any]:
    plan = TrialPlan(job)
    began = perf_counter()
    if source is None:
        way = (TRAIN_WAYS if job.what.tensors else FILE_WAYS)[job.way](job)
    else:
        way = WAYS[job.way](job, source)
    with way as results:
        take = partial(_take_now, results, job.unit)
        _take_now(results, 1, Duration(0, 1))
        first = perf_counter() - began
        take(plan.warm)
        clock = take(plan.timed)
        late = run(_beside(partial(take, plan.lag)))
        looks = []
        for _ in range(_LOOKS):
            take(plan.look)
            looks.append(memory.held())
    return _figures(first, clock, late, looks)


async def _beside(take: partial[Any]) -> list[float]:
    """The lag of a loop while a thread beside it takes results, as the loop itself cannot."""
    ticker = LagNotes()
    await asyncio.to_thread(take)
    return ticker.stop()


async def _without_waiting(source: WorkloadSource) -> AsyncIterator[Any]:
    for batch in source:
        yield batch


class Clock:
    """Counts results, and tells when a stretch is over."""

    def __init__(self, stretch: Duration, unit: int) -> None:
        self.count = 0
        self.seconds = 0.0
        self._stretch = stretch
        self._unit = unit
        self._began = perf_counter()

    def enough(self, result: Any) -> bool:
        """Take a result; a chunk or list that has begun to come is taken whole."""
        touch(result)
        self.count += 1
        self.seconds = perf_counter() - self._began
        if self.count % self._unit:
            return False
        return self.count >= self._stretch.batches and self.seconds >= self._stretch.seconds


async def _take(results: AsyncIterator[Any], unit: int, stretch: Duration) -> Clock:
    clock = Clock(stretch, unit)
    async for result in results:
        if clock.enough(result):
            return clock
    raise RuntimeError("the results ended early")


def _take_now(results: Iterator[Any], unit: int, stretch: Duration) -> Clock:
    clock = Clock(stretch, unit)
    for result in results:
        if clock.enough(result):
            return clock
    raise RuntimeError("the results ended early")


def _figures(
    first: float, clock: Clock, late: list[float], looks: list[tuple[str, float] | None]
) -> dict[str, Any]:
    import numpy as np

    seen = [look for look in looks if look is not None]
    return {
        "first_s": first,
        "batches": clock.count,
        "seconds": clock.seconds,
        "batches_per_s": clock.count / clock.seconds,
        "lag_p50_ms": float(np.percentile(late, 50)) * 1e3 if late else None,
        "lag_p99_ms": float(np.percentile(late, 99)) * 1e3 if late else None,
        "lag_max_ms": max(late) * 1e3 if late else None,
        "ticks": len(late),
        "peak_mib": max(size for _, size in seen) if seen else None,
        "memory": seen[0][0] if seen else None,
    }


if __name__ == "__main__":
    main()
