"""A plain loop over folders of pictures, as written for Keras' ImageDataGenerator.

Writes scikit-image's faces (lfw_subset) as PNG files into one folder a class, trains a small
network on 120 of the 200 without and with augmentation, and tries it on pictures that it has
never seen: as they are, and moved about.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from aioaug.images import ImageIterator, ParallelImageDataGenerator
from PIL import Image
from skimage import data

EPOCHS = int(os.environ.get("EPOCHS", "120"))
CLASSES = ("face", "other")
FLOW: dict[str, Any] = {"target_size": (25, 25), "color_mode": "grayscale", "class_mode": "binary"}
MOVING: dict[str, Any] = {
    "rotation_range": 25,
    "width_shift_range": 0.15,
    "height_shift_range": 0.15,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


class Net:
    """One hidden layer, trained by gradient descent with momentum."""

    def __init__(self, pixels: int, hidden: int, rng: np.random.Generator) -> None:
        self.w1 = rng.normal(0, (2 / pixels) ** 0.5, (pixels, hidden)).astype(np.float32)
        self.w2 = rng.normal(0, (1 / hidden) ** 0.5, hidden).astype(np.float32)
        self.v1, self.v2 = np.zeros_like(self.w1), np.zeros_like(self.w2)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        flat = x.reshape(len(x), -1)
        hidden = np.maximum(flat @ self.w1, 0)
        return flat, hidden, hidden @ self.w2

    def train_on_batch(self, x: np.ndarray, y: np.ndarray) -> None:
        flat, hidden, score = self.predict(x)
        error = (1 / (1 + np.exp(-score)) - y).astype(np.float32) / len(x)
        slope = np.outer(error, self.w2) * (hidden > 0)
        self.v1, self.v2 = 0.9 * self.v1 + flat.T @ slope, 0.9 * self.v2 + hidden.T @ error
        self.w1 -= 0.1 * self.v1
        self.w2 -= 0.1 * self.v2


def write_pictures(folder: Path) -> None:
    """40 of 100 pictures of each class are kept for the test."""
    order = np.random.default_rng(1).permutation(100)
    for number, picture in enumerate(data.lfw_subset()):
        part = "train" if order[number % 100] < 60 else "test"
        place = folder / part / CLASSES[number // 100]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((picture * 255).astype(np.uint8)).save(place / f"{number:03}.png")


def generator(**moving: Any) -> ParallelImageDataGenerator:
    return ParallelImageDataGenerator(cores=2, rescale=1 / 255, samplewise_center=True, **moving)


def accuracy(net: Net, flow: ImageIterator) -> float:
    with flow:
        return float(np.mean([((net.predict(x)[2] > 0) == y).mean() for x, y in flow]))


def main(folder: Path) -> None:
    write_pictures(folder)
    for name, moving in [("without augmentation", {}), ("with augmentation", MOVING)]:
        net = Net(25 * 25, 256, np.random.default_rng(1))
        with generator(**moving).flow_from_directory(folder / "train", **FLOW, seed=1) as flow:
            for _ in range(EPOCHS):
                for x, y in flow:
                    net.train_on_batch(x, y)
        test = generator().flow_from_directory(folder / "test", **FLOW, batch_size=80)
        as_is = accuracy(net, test)
        test = generator(**MOVING).flow_from_directory(
            folder / "test", **FLOW, batch_size=80, seed=2
        )
        print(f"{name}: {as_is:.1%} right as they are, {accuracy(net, test):.1%} moved about")


if __name__ == "__main__":  # worker processes import this file
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
