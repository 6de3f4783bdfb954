"""A fast augmenter and a slow model: `output_buffer_size` bounds what waits between them."""

import asyncio
import os
from collections.abc import AsyncIterator

import aioaug
import imgaug as ia
import imgaug.augmenters as iaa
from imgaug.augmentables.batches import UnnormalizedBatch

BATCHES = int(os.environ.get("BATCHES", "25"))
OUTPUT_BUFFER_SIZE = 5

pipeline = iaa.Fliplr(0.5)  # faster than the model below


async def load() -> AsyncIterator[UnnormalizedBatch]:
    images = [ia.quokka(size=0.2)] * 16
    for _ in range(BATCHES):
        print("Loading next unaugmented batch...")
        yield UnnormalizedBatch(images=images)


async def main() -> None:
    async with (
        aioaug.augmenter_pool(pipeline, processes=-1, seed=1) as pool,
        pool.imap_batches(load(), output_buffer_size=OUTPUT_BUFFER_SIZE) as stream,
    ):
        for _ in range(BATCHES):
            print("Requesting next augmented batch...")
            await anext(stream)
            await asyncio.sleep(0.1)  # a model that trains slowly


if __name__ == "__main__":
    aioaug.run(main())
