"""Train from a folder of pictures: they are decoded and augmented in the workers.

python examples/train_from_files.py            # stops in the middle, and goes on
"""

import json
import os
import tempfile
from pathlib import Path

import aioaug
import cv2
import imgaug.augmenters as iaa
import numpy as np
from aioaug.data import ImageFolder
from skimage import data

EPOCHS = int(os.environ.get("EPOCHS", "3"))

seq = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-15, 15)), iaa.Multiply((0.8, 1.2))])


async def train(
    dataset: ImageFolder, state: str = "null", stop_after: int | None = None
) -> tuple[list[str], str]:
    """Train from where a run left off; returns the names of what it saw, and where it is."""
    seen: list[str] = []
    batches = dataset.batches(8, shuffle=True, seed=1, epochs=EPOCHS, resize=(96, 96))
    async with (
        aioaug.AsyncPool(seq, processes=2, seed=1) as pool,
        pool.imap_batches(batches, output_buffer_size="auto", state=json.loads(state)) as stream,
    ):
        async for batch in stream:
            step(batch.images, batch.labels)
            seen += batch.names
            if len(seen) == stop_after:
                break
        # To be saved together with the weights of the model.
        return seen, json.dumps(stream.state())


def step(images: np.ndarray, labels: np.ndarray) -> None:
    """Where a network would learn."""


def make_pictures(root: Path) -> None:
    """Crops of two photographs: a cat, and cups of coffee."""
    for name, photograph in (("cat", data.chelsea()), ("coffee", data.coffee())):
        (root / name).mkdir()
        for number in range(20):
            crop = photograph[5 * number : 5 * number + 200, 7 * number : 7 * number + 300]
            cv2.imwrite(str(root / name / f"{number:02}.jpg"), crop[:, :, ::-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder))
        # Opening lists the folder, which takes time, so it is done before the event loop starts.
        training, validation = ImageFolder(folder).split(0.8)
        print(f"{len(training)} pictures to train, {len(validation)} to validate")
        whole, _ = aioaug.run(train(training))
        first, state = aioaug.run(train(training, stop_after=40))
        print(f"stopped after {len(first)} pictures; the state is {state}")
        rest, _ = aioaug.run(train(training, state))
        print("same as in one piece:", first + rest == whole)


if __name__ == "__main__":  # worker processes import this file
    main()
