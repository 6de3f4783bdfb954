"""Batches with named components: pictures, masks and points, through a pipeline on every core.

The pictures are scikit-image's. Worker processes find what is in the foreground of each, the
event loop goes on meanwhile, and imgaug turns pictures, masks and points alike.
"""

import asyncio
import os
import tempfile
from pathlib import Path

import aioaug
import imgaug.augmenters as iaa
import numpy as np
from aioaug.batch import Batch, Dataset, P, R, apply_parallel
from numpy.typing import NDArray
from skimage import data, filters, transform

EPOCHS = int(os.environ.get("EPOCHS", "2"))

Image = NDArray[np.uint8]

augmenter = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20))])


class Pictures(Batch):
    components = "images", "labels"

    @apply_parallel(src="images", dst="masks", target="mpc")
    def find_foreground(self, image: Image) -> NDArray[np.bool_]:
        grey = image.mean(axis=-1)
        mask: NDArray[np.bool_] = grey > filters.threshold_otsu(grey)
        return mask[..., np.newaxis]

    @apply_parallel(src="masks", dst="keypoints", target="threads")
    def find_centres(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        rows, columns, _ = np.nonzero(mask)
        return np.array([[columns.mean(), rows.mean()]], np.float32)

    @apply_parallel(src="images", target="threads")
    def brighten(self, image: Image, by: float = 0) -> Image:
        brighter: Image = np.clip(image + by, 0, 255).astype(np.uint8)
        return brighter


def load_pictures() -> NDArray[np.uint8]:
    found = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    small = [transform.resize(picture, (160, 200), preserve_range=True) for picture in found]
    return np.stack(small * 4).astype(np.uint8)


async def main() -> None:
    images = load_pictures()
    labels = np.arange(len(images)) % 4
    dataset = Dataset(len(images), Pictures, preloaded=(images, labels))
    dataset.split(0.75, shuffle=1)

    pipeline = (
        dataset.train.pipeline()  # type: ignore[union-attr]
        .find_foreground()
        .find_centres()
        .brighten(by=P(R("uniform", -30, 30)))
        .augment(augmenter, target="mpc")
    )
    ticks = 0

    async def something_else() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    other = asyncio.create_task(something_else())
    async with pipeline.gen_batch_async(4, shuffle=1, n_epochs=EPOCHS, prefetch=1) as stream:
        batches = [batch async for batch in stream]
    other.cancel()
    print(len(batches), "batches of", batches[0].images.shape, "with", *batches[0].components)
    print("meanwhile the event loop did something else", ticks, "times")

    first = batches[0]
    print("centres:", *(f"({x:.0f}, {y:.0f})" for ((x, y),) in first.keypoints))
    merged, rest = Pictures.merge(batches, batch_size=10)
    print("merged:", merged.size, "and", rest.size)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "merged.npz")
        await merged.dump_async(dst=path, fmt="npz")
        again = await Batch([9, 0]).load_async(src=path, fmt="npz", dst=("images", "labels"))
    print("from the file:", np.array_equal(again.images, merged.images[[9, 0]]))
    await aioaug.batch.shutdown_async()


if __name__ == "__main__":  # worker processes import this file
    aioaug.run(main())
