"""The figures of docs/reliability.md: `python tests/support/reliability_figures.py`.

Each is a ratio of runs in the same process, interleaved.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import statistics
import time

import aioaug
import numpy as np
from aioaug import AsyncPool

ROUNDS = 5


def busy(batch):
    """50 ms of work for a processor."""
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    return batch


def waiting(batch):
    time.sleep(0.05)
    return batch


def noise(batch, rng):
    time.sleep(0.004)
    return batch + rng.integers(0, 9, batch.shape, np.uint8)


async def stream_of(augmenter, batches, each=lambda number: None, **options):
    """The seconds that a stream takes, its start not counted, and its results."""
    async with AsyncPool(augmenter, 2, seed=1, **options) as pool:
        got = []
        async with pool.imap_batches(batches, output_buffer_size=8) as stream:
            begun = time.perf_counter()
            async for batch in stream:
                got.append(batch)
                each(len(got))
            return time.perf_counter() - begun, got


async def soak(count=1000, every=50):
    """A random worker is killed every so many batches: same output, so much of the speed."""
    rng = random.Random(0)

    def kill(number):
        if number % every == 0:
            victim = rng.choice(multiprocessing.active_children())
            os.kill(victim.pid, signal.SIGKILL)

    batches = [np.full((8, 64, 64, 3), number % 200, np.uint8) for number in range(count)]
    clean, wanted = await stream_of(noise, batches)
    killed, got = await stream_of(noise, batches, kill)
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))
    return clean / killed


async def recycling(augmenter, count=120, every=3):
    without, _ = await stream_of(augmenter, list(range(count)))
    recycled, got = await stream_of(augmenter, list(range(count)), maxtasksperchild=every)
    assert got == list(range(count))
    return without / recycled


async def main():
    for name, measure, arguments in (
        ("a worker killed every 50 of 1,000 batches", soak, ()),
        ("workers replaced every 3 batches of 50 ms, waiting", recycling, (waiting,)),
        ("workers replaced every 3 batches of 50 ms, computing", recycling, (busy,)),
    ):
        ratios = [await measure(*arguments) for _ in range(ROUNDS)]
        print(
            f"{name}: {statistics.median(ratios):.1%} of the speed without"
            f" ({min(ratios):.1%} to {max(ratios):.1%})",
            flush=True,
        )


if __name__ == "__main__":
    aioaug.run(main())
