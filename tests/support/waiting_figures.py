"""How long a training loop waits for its batches, for each way to write it.

    python tests/support/waiting_figures.py [BATCH_MS [STEP_MS ...]]

Workers wait instead of augmenting, and the step waits instead of computing, so that the figures do
not depend on what else runs on the machine's cores.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial

import aioaug
import numpy as np

BATCH = np.zeros((8, 224, 224, 3), np.uint8)
WORKERS, COUNT = 2, 100


def slow(batch, seconds):
    """Takes so long, and keeps no core busy."""
    time.sleep(seconds)
    return batch


async def in_a_thread(step):
    await asyncio.to_thread(time.sleep, step)


async def blocking(step):
    time.sleep(step)  # noqa: ASYNC251  # it is what is measured


async def waiting(step):
    await asyncio.sleep(step)


STEPS = {"in a thread": in_a_thread, "blocking": blocking, "async": waiting}


async def measured(take_step, step, batch_seconds, *, prefetched):
    """The part of the time that was waited for batches, and batches a second."""
    augmenter = partial(slow, seconds=batch_seconds)
    async with aioaug.AsyncPool(augmenter, processes=WORKERS, seed=1) as pool:
        stream = pool.imap_batches([BATCH] * (COUNT + 10), output_buffer_size=8)
        async with aioaug.prefetch(stream) if prefetched else stream as batches:
            for _ in range(10):
                await anext(batches)
                await take_step(step)
            begun, waited = time.perf_counter(), 0.0
            for _ in range(COUNT):
                asked = time.perf_counter()
                await anext(batches)
                waited += time.perf_counter() - asked
                await take_step(step)
            seconds = time.perf_counter() - begun
    return waited / seconds, COUNT / seconds


async def nothing(_):
    """No step at all: the pool's own speed."""


async def main(batch_ms, *steps_ms):
    print(f"{WORKERS} workers, {batch_ms} ms for a batch in each")
    _, own = await measured(nothing, 0, batch_ms / 1000, prefetched=False)
    print(f"the pool alone: {own:.1f} batches/s")
    for step in steps_ms:
        for prefetched in (False, True):
            for name, take_step in STEPS.items():
                part, rate = await measured(
                    take_step, step / 1000, batch_ms / 1000, prefetched=prefetched
                )
                how = "prefetch" if prefetched else "stream"
                print(
                    f"step of {step:g} ms {name:12} {how:9} waits {part:6.1%}  {rate:6.1f}/s"
                    f"  {rate / own:.2f} of the pool",
                    flush=True,
                )


if __name__ == "__main__":
    numbers = [float(each) for each in sys.argv[1:]] or [20, 15, 5]
    asyncio.run(main(*numbers))
