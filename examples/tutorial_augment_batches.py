"""One core, then all of them: the same batches, augmented in a thread and in worker processes."""

import os
import time

import aioaug
import imgaug as ia
import imgaug.augmenters as iaa
from imgaug.augmentables.batches import UnnormalizedBatch
from skimage import data

BATCHES = int(os.environ.get("BATCHES", "10"))
BATCH_SIZE = 16

seq = iaa.Sequential(
    [
        iaa.PiecewiseAffine(scale=0.05, nb_cols=6, nb_rows=6),  # very slow
        iaa.Fliplr(0.5),  # very fast
        iaa.CropAndPad(px=(-10, 10)),  # very fast
    ]
)


async def augment(batches: list[UnnormalizedBatch], background: bool) -> None:
    start = time.perf_counter()
    stream = aioaug.augment_batches(seq, batches, background=background, seed=1)
    batches_aug = [batch async for batch in stream]
    seconds = time.perf_counter() - start

    cores = "all cores" if background else "one core"
    images = batches_aug[0].images_aug
    print(f"{cores}: {len(batches_aug)} batches of {len(images)} images in {seconds:.2f} s")
    print("the first image:", images[0].shape, "mean", round(images[0].mean(), 3))


async def main() -> None:
    cat = ia.imresize_single_image(data.chelsea(), (225, 225))
    batches = [UnnormalizedBatch(images=[cat] * BATCH_SIZE) for _ in range(BATCHES)]
    await augment(batches, background=False)
    await augment(batches, background=True)


if __name__ == "__main__":  # worker processes import this file
    aioaug.run(main())
