"""A training loop with PyTorch: tensors come out of the workers, and the step runs in a thread.

Tells faces (scikit-image's lfw_subset) from other pictures with a small convolutional network,
first without augmentation and then with it, and tries both on pictures that they have never seen:
as they are, and moved about.
"""

import asyncio
import os
import time

import aioaug.torch
import imgaug.augmenters as iaa
import numpy as np
import torch
from skimage import data

EPOCHS = int(os.environ.get("EPOCHS", "40"))

move = iaa.Sequential(
    [
        iaa.Fliplr(0.5),
        iaa.Affine(
            translate_percent=(-0.25, 0.25), scale=(0.7, 1.3), rotate=(-30, 30), mode="edge"
        ),
    ]
)


class Faces(torch.utils.data.Dataset):  # type: ignore[misc]
    """Pictures (H,W,1) of bytes, and whether they are faces."""

    def __init__(self, pictures: np.ndarray, is_face: np.ndarray) -> None:
        self.pictures, self.is_face = pictures, is_face

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[np.ndarray, float]:
        return self.pictures[number], float(self.is_face[number])


def new_net() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(16, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(3),
        torch.nn.Flatten(),
        torch.nn.Linear(9 * 32, 1),
    )


class Trainer:
    def __init__(self) -> None:
        self.net = new_net()
        self.optimizer = torch.optim.Adam(self.net.parameters(), 3e-3)

    def step(self, images: torch.Tensor, is_face: torch.Tensor) -> None:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            self.net(images)[:, 0], is_face.float()
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def accuracy(self, images: np.ndarray, is_face: np.ndarray) -> float:
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        right = (self.net(tensor)[:, 0] > 0).numpy() == is_face
        return float(right.mean())


async def train(augmenter: iaa.Augmenter, faces: Faces) -> Trainer:
    trainer = Trainer()
    waits, stepping = [], 0.0
    loader = aioaug.torch.Loader(
        faces, augmenter, 25, shuffle=True, seed=1, processes=-1, dtype=torch.float32
    )
    async with loader:
        for _ in range(EPOCHS):
            asked = time.perf_counter()
            async for images, is_face in loader:
                got = time.perf_counter()
                await asyncio.to_thread(trainer.step, images, is_face)  # the loop stays free
                waits.append(got - asked)
                stepping += time.perf_counter() - got
                asked = time.perf_counter()
    first, *others = waits  # the workers start, and import PyTorch because of this file
    print(f"waited {first:.2f} s for the first batch, {sum(others):.2f} s for {len(others)} others")
    print(f"spent {stepping:.2f} s in steps")
    return trainer


async def main() -> None:
    torch.set_num_threads(1)
    pictures = (data.lfw_subset() * 255).round().astype(np.uint8)[..., np.newaxis]
    is_face = np.arange(len(pictures)) < 100
    order = np.random.default_rng(1).permutation(len(pictures))
    seen, unseen = order[:100], order[100:]

    async with aioaug.AsyncPool(move, seed=2) as pool:
        moved = np.concatenate(await pool.map_batches([pictures[unseen]] * 5))

    for name, augmenter in [("without augmentation", iaa.Identity()), ("with augmentation", move)]:
        print(name)
        trainer = await train(augmenter, Faces(pictures[seen], is_face[seen]))
        as_is = trainer.accuracy(pictures[unseen], is_face[unseen])
        about = trainer.accuracy(moved, np.tile(is_face[unseen], 5))
        print(f"unseen pictures: {as_is:.1%} right as they are, {about:.1%} moved about")


if __name__ == "__main__":  # worker processes import this file
    aioaug.run(main())
