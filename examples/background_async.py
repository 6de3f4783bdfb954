"""The same as background.py, inside an event loop that stays free; and a queue of single jobs."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aioaug
import numpy as np
from background import BATCHES, Pictures
from skimage import data


def read(mp_arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]], name: str) -> None:
    """Fill the array of a job of the queue."""
    aioaug.SharedQ.shm2ndarray(mp_arrays[0], shapes[0])[...] = getattr(data, name)()


async def main() -> None:
    pictures = Pictures()
    kwargs = {"flip": True, "grey_augment_channels": [0]}
    target = aioaug.BackgroundProc(
        pictures.getbatch, n_proc=2, target_args=(2,), target_kwargs=kwargs
    )
    faces = 0
    async with target as background:
        for _ in range(BATCHES):
            images, labels = await background.get(timeout=30)
            faces += int(labels.sum())
    print(f"{BATCHES} batches of {images.shape} {images.dtype}, {faces} faces")

    async with aioaug.SharedQ(n_proc=2) as queue:
        for name in ("astronaut", "rocket"):
            queue.startproc([np.uint8], [getattr(data, name)().shape], read, (name,))
        for _ in range(4):
            queue.startproc([np.uint8], [data.chelsea().shape], read, ("chelsea",))
            (picture,) = await queue.get()  # the others are read meanwhile
            print(picture.shape)


if __name__ == "__main__":  # worker processes import this file
    asyncio.run(main())
