"""An async training loop on real pictures: the next batch is augmented while the step runs.

Tells faces (scikit-image's lfw_subset) from other pictures with a small network, first without
augmentation and then with it, and tries both on pictures that they have never seen: as they are,
and moved about.
"""

import asyncio
import os
import time
from collections.abc import Iterator

import aioaug
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmentables.batches import UnnormalizedBatch
from skimage import data

EPOCHS = int(os.environ.get("EPOCHS", "60"))
BATCH_SIZE = 25

move = iaa.Sequential(
    [
        iaa.Fliplr(0.5),
        iaa.Affine(
            translate_percent=(-0.15, 0.15), scale=(0.8, 1.2), rotate=(-25, 25), mode="edge"
        ),
    ]
)


class Net:
    """One hidden layer, trained by gradient descent with momentum."""

    def __init__(self, pixels: int, hidden: int, rng: np.random.Generator) -> None:
        scales = (2 / pixels) ** 0.5, (1 / hidden) ** 0.5
        self.w1 = rng.normal(0, scales[0], (pixels, hidden)).astype(np.float32)
        self.w2 = rng.normal(0, scales[1], hidden).astype(np.float32)
        self.v1, self.v2 = np.zeros_like(self.w1), np.zeros_like(self.w2)

    def forward(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        flat = images.reshape(len(images), -1).astype(np.float32) / 255 - 0.4
        hidden = np.maximum(flat @ self.w1, 0)
        return flat, hidden, hidden @ self.w2

    def step(self, images: np.ndarray, is_face: np.ndarray) -> None:
        flat, hidden, score = self.forward(images)
        error = (1 / (1 + np.exp(-score)) - is_face).astype(np.float32) / len(images)
        slope = np.outer(error, self.w2) * (hidden > 0)
        self.v1, self.v2 = 0.9 * self.v1 + flat.T @ slope, 0.9 * self.v2 + hidden.T @ error
        self.w1 -= 0.05 * self.v1
        self.w2 -= 0.05 * self.v2

    def accuracy(self, images: np.ndarray, is_face: np.ndarray) -> float:
        return float(np.mean((self.forward(images)[2] > 0) == is_face))


def shuffled(pictures: np.ndarray, is_face: np.ndarray) -> Iterator[UnnormalizedBatch]:
    rng = np.random.default_rng(1)
    for _ in range(EPOCHS):
        for some in rng.permutation(len(pictures)).reshape(-1, BATCH_SIZE):
            yield UnnormalizedBatch(images=pictures[some], data=is_face[some])


async def train(augmenter: iaa.Augmenter, pictures: np.ndarray, is_face: np.ndarray) -> Net:
    net = Net(pictures[0].size, 1024, np.random.default_rng(1))
    waiting = stepping = 0.0
    async with (
        aioaug.AsyncPool(augmenter, processes=-1, seed=1) as pool,
        pool.imap_batches(shuffled(pictures, is_face), output_buffer_size="auto") as stream,
    ):
        asked = time.perf_counter()
        async for batch in stream:
            got = time.perf_counter()
            await asyncio.to_thread(net.step, batch.images_aug, batch.data)  # the loop stays free
            waiting, stepping = waiting + got - asked, stepping + time.perf_counter() - got
            asked = time.perf_counter()
    print(f"waited {waiting:.2f} s for batches, spent {stepping:.2f} s in steps")
    return net


async def main() -> None:
    pictures = (data.lfw_subset() * 255).round().astype(np.uint8)[..., np.newaxis]
    is_face = np.arange(len(pictures)) < 100
    order = np.random.default_rng(1).permutation(len(pictures))
    seen, unseen = order[:100], order[100:]

    async with aioaug.AsyncPool(move, seed=2) as pool:
        moved = np.concatenate(await pool.map_batches([pictures[unseen]] * 5))

    for name, augmenter in [("without augmentation", iaa.Identity()), ("with augmentation", move)]:
        print(name)
        net = await train(augmenter, pictures[seen], is_face[seen])
        as_is = net.accuracy(pictures[unseen], is_face[unseen])
        about = net.accuracy(moved, np.tile(is_face[unseen], 5))
        print(f"unseen pictures: {as_is:.1%} right as they are, {about:.1%} moved about")


if __name__ == "__main__":  # worker processes import this file
    aioaug.run(main())
