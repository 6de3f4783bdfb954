"""What takes an engine beside `AsyncPool`, each used once; the results are arrays."""

from __future__ import annotations

import random

import aioaug
import numpy as np
from aioaug import batch
from aioaug.images import ParallelImageDataGenerator


class Pairs(batch.Batch):
    components = "images", "noise"


def draws(item):
    """What draws from the generators that all code shares."""
    return item + np.random.rand() + random.random()


def drawn():
    return np.random.rand(3), np.array([random.random()])


async def images(engine):
    x = np.arange(12 * 8 * 8 * 3, dtype=np.float32).reshape(12, 8, 8, 3)
    generator = ParallelImageDataGenerator(rotation_range=30, horizontal_flip=True, engine=engine)
    async with generator.flow(x, batch_size=4, seed=3) as flow:
        return [await anext(flow) for _ in range(4)]


async def batches(engine):
    made = Pairs(np.arange(9), preloaded=(np.arange(9.0), np.zeros(9)))
    made.random_seed = 5
    try:
        await made.apply_parallel_async(
            draws, src="images", dst="noise", target="mpc", engine=engine
        )
    finally:
        await batch.shutdown_async()
    return [made.noise]


async def background(engine):
    form = [float, float], [(3,), (1,)]
    async with aioaug.BackgroundProc(drawn, *form, seed=3, engine=engine) as proc:
        return [array for _ in range(4) for array in await proc.get()]


TAKERS = (images, batches, background)
