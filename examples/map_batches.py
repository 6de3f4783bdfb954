"""The shortest way: a list of batches in, a list of augmented batches out."""

import asyncio
import os

import aioaug
import imgaug.augmenters as iaa
import numpy as np
from skimage import data

BATCHES = int(os.environ.get("BATCHES", "20"))

augmenter = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20))])


async def main() -> None:
    batches = [np.stack([data.chelsea()] * 4) for _ in range(BATCHES)]
    ticks = 0

    async def something_else() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async with aioaug.AsyncPool(augmenter, seed=1) as pool:
        other = asyncio.create_task(something_else())
        batches_aug = await pool.map_batches(batches)
        other.cancel()

    print(len(batches_aug), "batches of", batches_aug[0].shape)
    print("meanwhile the event loop did something else", ticks, "times")


if __name__ == "__main__":  # worker processes import this file
    aioaug.run(main())
