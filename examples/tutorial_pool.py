"""A pool for many calls, with a number of cores and a seed: the seed decides the output."""

import os

import aioaug
import imgaug as ia
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmentables.batches import UnnormalizedBatch

BATCHES = int(os.environ.get("BATCHES", "10"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.CropAndPad(px=(-10, 10)), iaa.GaussianBlur((0, 2))])


async def main() -> None:
    batches = [UnnormalizedBatch(images=[ia.quokka(size=0.2)] * 16) for _ in range(BATCHES)]

    # All cores but one; each worker is replaced after 20 tasks; the seed is 1.
    async with aioaug.augmenter_pool(seq, processes=-1, maxtasksperchild=20, seed=1) as pool:
        first = await pool.map_batches(batches)
        second = await pool.map_batches(batches)  # the same workers, the next random numbers

    # aioaug.augmenter_pool(...) is short for this:
    async with aioaug.AsyncPool(seq, processes=-1, maxtasksperchild=20, seed=1) as pool:
        again = await pool.map_batches(batches)

    # The number of workers, chunks and the engine do not matter, only the seed does.
    async with aioaug.AsyncPool(seq, processes=2, seed=1, engine="thread") as pool:
        in_threads = await pool.map_batches(batches, chunksize=3)

    print("the second call gives the same:", equal(first, second))
    print("the same seed again gives the same:", equal(first, again))
    print("threads give the same:", equal(first, in_threads))


def equal(some: list[UnnormalizedBatch], others: list[UnnormalizedBatch]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(np.array_equal(a.images_aug, b.images_aug) for a, b in pairs)


if __name__ == "__main__":
    aioaug.run(main())
