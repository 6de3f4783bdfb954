"""Files are decoded where they are augmented: only their names go to the worker processes."""

import os
import tempfile
from pathlib import Path

import aioaug
import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmentables.batches import UnnormalizedBatch
from skimage import data

BATCHES = int(os.environ.get("BATCHES", "8"))


def read(paths: list[Path]) -> UnnormalizedBatch:
    return UnnormalizedBatch(images=[cv2.imread(str(path)) for path in paths], data=paths)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.png") for number in range(200)]
        for path, picture in zip(paths, data.lfw_subset(), strict=True):
            cv2.imwrite(str(path), (picture * 255).round().astype(np.uint8))
        names = [paths[start : start + 200 // BATCHES] for start in range(0, 200, 200 // BATCHES)]

        async with aioaug.BackgroundAugmenter(names, iaa.Fliplr(0.5), load=read, seed=1) as ahead:
            async for batch in ahead:
                print(f"{len(batch.images_aug)} pictures of {batch.images_aug[0].shape}")


if __name__ == "__main__":  # worker processes import this file
    aioaug.run(main())
