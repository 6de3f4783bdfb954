"""Batches carry more than images: keypoints follow the pictures that they belong to."""

import os

import aioaug
import imgaug as ia
import imgaug.augmenters as iaa
from imgaug.augmentables.batches import UnnormalizedBatch

BATCHES = int(os.environ.get("BATCHES", "10"))
BATCH_SIZE = 16

seq = iaa.Sequential(
    [
        iaa.PiecewiseAffine(scale=0.05, nb_cols=6, nb_rows=6),
        iaa.Fliplr(0.5),
        iaa.CropAndPad(px=(-10, 10)),
    ]
)


async def main() -> None:
    quokka = ia.quokka(size=0.2)
    keypoints = ia.quokka_keypoints(size=0.2)
    batches = [
        UnnormalizedBatch(images=[quokka] * BATCH_SIZE, keypoints=[keypoints] * BATCH_SIZE)
        for _ in range(BATCHES)
    ]

    batches_aug = [batch async for batch in aioaug.augment_batches(seq, batches, seed=1)]

    first = batches_aug[0]
    print(len(batches_aug), "batches; the keypoints of the first image, before and after:")
    for before, after in zip(keypoints, first.keypoints_aug[0], strict=True):
        print(f"({before.x:5.1f}, {before.y:5.1f}) -> ({after.x:5.1f}, {after.y:5.1f})")
    drawn = first.keypoints_aug[0].draw_on_image(first.images_aug[0], size=5)
    print("drawn on a picture of shape", drawn.shape)


if __name__ == "__main__":
    aioaug.run(main())
