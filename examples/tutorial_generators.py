"""Batches from generators, so that the whole data set is never in memory at once."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import aioaug
import imgaug as ia
import imgaug.augmenters as iaa
import numpy as np

BATCHES = int(os.environ.get("BATCHES", "10"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.CropAndPad(px=(-10, 10))])


def from_disk() -> Iterator[np.ndarray]:
    """It may block: the pool reads it in a thread of its own."""
    for _ in range(BATCHES):
        yield np.stack([ia.quokka(size=0.2)] * 16)  # plain arrays do as well as imgaug's batches


async def from_afar() -> AsyncIterator[np.ndarray]:
    """It may wait: for a socket, a database, a queue."""
    for _ in range(BATCHES):
        await asyncio.sleep(0.01)
        yield np.stack([ia.quokka(size=0.2)] * 16)


async def main() -> None:
    async with aioaug.augmenter_pool(seq, processes=-1, seed=1) as pool:
        async with pool.imap_batches(from_disk()) as stream:  # in the order of the source
            ordered = [batch.mean() async for batch in stream]
        async with pool.imap_batches_unordered(from_afar()) as stream:  # each as it gets ready
            unordered = [batch.mean() async for batch in stream]

        async with pool.imap_batches(from_disk(), output_buffer_size="auto") as stream:
            async for batch in stream:
                print("one is enough:", batch.shape, batch.dtype)
                break  # here the stream ends, and the generator is closed

    print("in order:", len(ordered), "batches; as they come:", len(unordered), "batches")


if __name__ == "__main__":
    aioaug.run(main())
