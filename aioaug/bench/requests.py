"""One round of requests: tasks that each ask for one batch after the other, as web apps do.

Every way is a context that gives a coroutine function: one batch in, the augmented one out.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any

from .. import AsyncPool
from .._aio.lag import LagNotes
from .._base.optional import need
from . import memory
from .trial_spec import TrialSpec
from .ways import one_native_thread
from .workloads import augmenter, pictures, touch

Ask = Callable[[Any], Awaitable[Any]]
Answerer = Callable[[TrialSpec], AbstractAsyncContextManager[Ask]]


async def measure_requests(job: TrialSpec) -> dict[str, Any]:
    """The figures of one round."""
    batches = pictures(job.workload)
    began = perf_counter()
    async with ANSWERERS[job.way](job) as ask:
        touch(await ask(batches[0]))
        first = perf_counter() - began
        await _ask_for(ask, batches, job.what.tasks, min(0.3, job.seconds))
        begun = perf_counter()
        latencies = await _ask_for(ask, batches, job.what.tasks, job.seconds, job.batches or 0)
        seconds = perf_counter() - begun
        ticker = LagNotes()
        await _ask_for(ask, batches, job.what.tasks, job.seconds / 2)
        late = ticker.stop()
        held = memory.held()
    return {
        "first_s": first,
        "batches": len(latencies),
        "seconds": seconds,
        "batches_per_s": len(latencies) / seconds,
        **_percentiles("latency", latencies),
        **_percentiles("lag", late),
        "ticks": len(late),
        "peak_mib": held[1] if held else None,
        "memory": held[0] if held else None,
    }


async def _ask_for(
    ask: Ask, batches: list[Any], tasks: int, seconds: float, least: int = 0
) -> list[float]:
    """How long each request took; tasks ask until the time is over, and at least so often."""
    latencies: list[float] = []
    end = perf_counter() + seconds

    async def client(number: int) -> None:
        batch = batches[number % len(batches)]
        begun = perf_counter()
        while begun < end or len(latencies) < least:
            touch(await ask(batch))
            done = perf_counter()
            latencies.append(done - begun)
            begun = done

    await asyncio.gather(*(client(number) for number in range(tasks)))
    return latencies


def _percentiles(name: str, seconds: list[float]) -> dict[str, float | None]:
    import numpy as np

    if not seconds:
        return {f"{name}_{which}_ms": None for which in ("p50", "p99", "max")}
    p50, p99, worst = np.percentile(seconds, (50, 99, 100)) * 1e3
    return {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99, f"{name}_max_ms": worst}


@asynccontextmanager
async def aioaug(job: TrialSpec) -> AsyncIterator[Ask]:
    """AsyncPool, which is asked for one batch."""
    async with AsyncPool(augmenter(job.workload), job.workers, seed=1) as pool:
        yield pool.augment_batch


@asynccontextmanager
async def executor(job: TrialSpec) -> AsyncIterator[Ask]:
    """The standard library's process pool, by `run_in_executor`."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(job.workers, context, one_native_thread) as pool:
        loop, augment = asyncio.get_running_loop(), AugmentImages(job.workload)
        yield lambda batch: loop.run_in_executor(pool, augment, batch)


@asynccontextmanager
async def to_thread(job: TrialSpec) -> AsyncIterator[Ask]:
    """`asyncio.to_thread`, each thread with an augmenter of its own."""
    one_native_thread()
    augment = AugmentImages(job.workload)
    yield lambda batch: asyncio.to_thread(augment, batch)


@asynccontextmanager
async def anyio_process(job: TrialSpec) -> AsyncIterator[Ask]:
    """`anyio.to_process.run_sync`, with a limiter for the number of workers."""
    import anyio.to_process

    # Its workers would run the file of the main program, which without its package is of no use.
    vars(sys.modules["__main__"])["__file__"] = None
    limiter, augment = anyio.CapacityLimiter(job.workers), AugmentImages(job.workload)
    yield lambda batch: anyio.to_process.run_sync(augment, batch, limiter=limiter)


@asynccontextmanager
async def aiomultiprocess(job: TrialSpec) -> AsyncIterator[Ask]:
    """`aiomultiprocess.Pool.apply`, for which the augmenter is wrapped in a coroutine function."""
    lib = need("aiomultiprocess", extra="bench")
    async with lib.Pool(job.workers, childconcurrency=1) as pool:

        async def ask(batch: Any) -> Any:
            return await pool.apply(_augment_in_process, (job.workload, batch))

        yield ask


ANSWERERS: dict[str, Answerer] = {
    "aioaug": aioaug,
    "executor": executor,
    "to-thread": to_thread,
    "anyio": anyio_process,
    "aiomultiprocess": aiomultiprocess,
}


class AugmentImages:
    """Augments an array of images; what goes to a worker is the workload's name."""

    def __init__(self, workload: str) -> None:
        self.workload = workload

    def __call__(self, images: Any) -> Any:
        return augmenter(self.workload)(images=images)


async def _augment_in_process(workload: str, images: Any) -> Any:
    one_native_thread()
    return AugmentImages(workload)(images)
