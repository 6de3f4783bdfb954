"""Kill workers at random while they change batches in place, and compare every result.

    python tests/support/random_kills.py KILLS asyncio|uvloop SEED

A stream of tiny batches with a large one among ten and single tiny requests share a pool, with an
even seed also streams of large and of middling ones. The event loop is blocked now and then, as by
a training step. Prints what became of it, as JSON.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import random
import signal
import sys
import threading
import time

import numpy as np
from aioaug import AsyncPool

LARGE, MIDDLING, TINY = 300_000, 40_000, 100
STRIDE = 16


def plain(number, size):
    """The batch with this number: its number, then bytes like no other's."""
    batch = np.random.default_rng(number).integers(0, 256, size, np.uint8)
    batch[:8].view(np.int64)[0] = number
    return batch


def scramble(batch, die=False):
    """Change the batch in place, in many steps: half of them make another result."""
    for step in range(STRIDE):
        batch[8 + step :: STRIDE] += step + 1
        if die and step == STRIDE // 2:
            os.kill(os.getpid(), signal.SIGKILL)
    batch[8:] ^= 0xA5
    return batch


def mortal(batch):
    """The same in a worker, which one large batch in eight kills half-way."""
    return scramble(batch, die=batch.size == LARGE and os.urandom(1)[0] < 32)


class Killer(threading.Thread):
    """Kills a worker after the other, at moments that have nothing to do with the event loop."""

    def __init__(self, pool, kills, rng):
        super().__init__(daemon=True)
        self.supervisors = pool.pool._supervisors
        self.kills = kills
        self.rng = rng
        self.done = threading.Event()
        self.killed = set()

    def run(self):
        while len(self.killed) < self.kills:
            time.sleep(self.rng.expovariate(300))
            worker = self.rng.choice(self.supervisors)._worker
            process = worker and worker._process._process
            if process and worker.usable and process.pid not in self.killed:
                self.killed.add(process.pid)
                process.kill()
        self.done.set()


async def consume(stream, over, rng, tally):
    async with stream:
        async for batch in stream:
            number = int(batch[:8].view(np.int64)[0])
            tally["batches"] += 1
            tally["wrong"] += not np.array_equal(batch, scramble(plain(number, batch.size)))
            if over.is_set():
                return


async def ask(pool, over, rng, tally):
    while not over.is_set():
        number = rng.randrange(1 << 40)
        (batch,) = await pool.map_batches([plain(number, TINY)])
        tally["requests"] += 1
        tally["wrong"] += not np.array_equal(batch, scramble(plain(number, TINY)))


def hold_up(loop, over, rng):
    """Hold the loop up at any of its turns, as training steps do that are not awaited."""
    if rng.random() < 0.01:
        time.sleep(rng.random() * 0.02)
    if not over.is_set():
        loop.call_soon(hold_up, loop, over, rng)


def endless(first, *sizes):
    while True:
        yield plain(first, sizes[first % len(sizes)])
        first += 1


async def main(kills, seed):
    rng = random.Random(seed)
    tally = collections.Counter()
    mixed = seed % 2 == 0  # else calls are quick, and sent ahead of the worker
    async with AsyncPool(mortal, 2 if mixed else 1, seed=1, retries=10**6) as pool:
        killer = Killer(pool, kills, random.Random(seed + 1))
        killer.start()
        over = killer.done
        hold_up(asyncio.get_running_loop(), over, random.Random(seed + 2))
        ordered, unordered = pool.imap_batches, pool.imap_batches_unordered
        beside = [
            unordered(endless(1 << 41, LARGE), 3, 9),
            ordered(endless(1 << 42, MIDDLING), 2, 8),
        ]
        await asyncio.gather(
            consume(ordered(endless(0, *[TINY] * 9, LARGE), 1, 12), over, rng, tally),
            *(consume(stream, over, rng, tally) for stream in beside if mixed),
            *(ask(pool, over, rng, tally) for _ in range(3)),
        )
    print(json.dumps({"killed": len(killer.killed), **tally}))


if __name__ == "__main__":
    kills, loop, seed = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if loop == "uvloop":
        import uvloop

        uvloop.run(main(kills, seed))
    else:
        asyncio.run(main(kills, seed))
