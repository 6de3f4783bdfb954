"""The blocking twins side by side with what they are measured by, as a program.

    python -m aioaug.bench.twins

Takes turns, so that whatever else the machine does hits both of a pair: `Pool` and `AsyncPool` on
batches that come back as they are, `BackgroundProc.get` and a `multiprocessing.Queue` that a
process fills with the same array.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import AsyncPool, blocking, run
from .trial_spec import TrialSpec
from .workloads import WorkloadSource, augmenter, touch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHAPE = (256, 224, 224, 3)  # 38 MB of bytes

_made: list[NDArray[np.uint8]] = []


def main() -> None:
    """Measure both pairs and write two lines."""
    rounds = int(os.environ.get("ROUNDS", "5"))
    batches = int(os.environ.get("BATCHES", "200"))
    job = TrialSpec("aioaug", "identity")
    source = WorkloadSource(job.what)
    augmenter(job.workload)
    ours, theirs = _turns(
        rounds, lambda: _blocking_pool(job, source, batches), lambda: _pool(job, source, batches)
    )
    _write("blocking Pool / AsyncPool", "batches", ours, theirs)
    ours, theirs = _turns(
        rounds, lambda: _background(batches // 4), lambda: _queue(max(2, batches // 20))
    )
    _write("BackgroundProc.get / multiprocessing.Queue", "arrays of 38 MB", ours, theirs)


def array() -> NDArray[np.uint8]:
    """The target: it returns the same array each time, so only the transport takes time."""
    import numpy as np

    if not _made:
        _made.append(np.full(SHAPE, 7, np.uint8))
    return _made[0]


def _blocking_pool(job: TrialSpec, source: WorkloadSource, count: int) -> float:
    with blocking.Pool(augmenter(job.workload), processes=job.workers, seed=1) as pool:
        results = pool.imap_batches(iter(source), output_buffer_size=job.lookahead)
        return _rate(lambda: next(results).images_aug, count)


def _pool(job: TrialSpec, source: WorkloadSource, count: int) -> float:
    async def work() -> float:
        async with AsyncPool(augmenter(job.workload), job.workers, seed=1) as pool:
            stream = pool.imap_batches(iter(source), output_buffer_size=job.lookahead)
            async with stream:
                for _ in range(count // 10):
                    touch(await anext(stream))
                begun = perf_counter()
                for _ in range(count):
                    touch(await anext(stream))
                return count / (perf_counter() - begun)

    return run(work())


def _background(count: int) -> float:
    with blocking.BackgroundProc(array, n_proc=1) as background:
        return _rate(lambda: background.get()[0], count)


def _queue(count: int) -> float:
    context = multiprocessing.get_context("forkserver")
    queue = context.Queue(1)
    process = context.Process(target=_fill, args=(queue,), daemon=True)
    process.start()
    try:
        return _rate(queue.get, count)
    finally:
        process.kill()
        process.join()
        queue.close()


def _fill(queue: Any) -> None:
    while True:
        queue.put(array())


def _rate(take: Callable[[], Any], count: int) -> float:
    """Results a second, after some that do not count."""
    for _ in range(max(2, count // 10)):
        touch(take())
    begun = perf_counter()
    for _ in range(count):
        touch(take())
    return count / (perf_counter() - begun)


def _turns(
    rounds: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[list[float], list[float]]:
    rates = [(ours(), theirs()) for _ in range(rounds)]
    return [rate for rate, _ in rates], [rate for _, rate in rates]


def _write(name: str, what: str, ours: list[float], theirs: list[float]) -> None:
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    sys.stdout.write(
        f"{name}: {statistics.median(ours):.0f} / {statistics.median(theirs):.0f} {what} a "
        f"second, ratio {ratio:.2f}\n"
    )


if __name__ == "__main__":
    main()
