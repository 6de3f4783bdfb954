"""Pictures a second from folders of JPEGs: keras_preprocessing and aioaug.images, in turns.

    python tests/support/images_throughput.py [rounds]

256x256 JPEGs with rotation, shifts, shear, zoom and flips, in batches of 32; two workers against
the one thread that the other has.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

MOVING = {
    "rotation_range": 20,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 10,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}
FLOW = {"target_size": (256, 256), "batch_size": 32, "seed": 1, "classes": ["a", "b"]}


def write_jpegs(folder: Path, count: int) -> Path:
    """Cuttings of a photograph in two classes of `count` pictures each."""
    from skimage import data

    photo = data.astronaut()
    photo = np.concatenate([photo, photo[:, ::-1]], axis=1)
    rng = np.random.default_rng(0)
    for name in FLOW["classes"]:
        (folder / name).mkdir()
        for number in range(count):
            y, x = rng.integers(0, 256), rng.integers(0, 768)
            cut = Image.fromarray(np.ascontiguousarray(photo[y : y + 256, x : x + 256]))
            cut.save(folder / name / f"{number:04}.jpg", quality=90)
    return folder


def flow_of_keras(folder: Path):
    from keras_reference import ImageDataGenerator

    with contextlib.redirect_stdout(io.StringIO()):
        return ImageDataGenerator(**MOVING).flow_from_directory(str(folder), **FLOW)


def flow_of_ours(folder: Path):
    from aioaug.images import ParallelImageDataGenerator

    return ParallelImageDataGenerator(cores=2, **MOVING).flow_from_directory(folder, **FLOW)


def rate(flow, batches: int) -> float:
    """Pictures a second, from the second batch on."""
    next(flow)
    begun = time.perf_counter()
    for _ in range(batches):
        x, _ = next(flow)
        x[0, 0, 0, 0] = x[-1, -1, -1, -1]
    return batches * FLOW["batch_size"] / (time.perf_counter() - begun)


def compare(folder: Path, rounds: int) -> list[tuple[float, float]]:
    """Both rates of each round, one after the other, so that a busy machine is busy for both."""
    rates = []
    for _ in range(rounds):
        theirs = rate(flow_of_keras(folder), 6)
        with flow_of_ours(folder) as flow:
            rates.append((theirs, rate(flow, 15)))
    return rates


def memory() -> int:
    """The bytes that are this process's and its workers' own."""
    me = psutil.Process()
    total = 0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().uss
    return total


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as place:
        folder = write_jpegs(Path(place), 256)
        ratios = []
        for theirs, ours in compare(folder, rounds):
            ratios.append(ours / theirs)
            print(
                f"keras_preprocessing {theirs:5.0f}/s, aioaug {ours:5.0f}/s, {ratios[-1]:.1f} times"
            )
        print(f"median: {statistics.median(ratios):.1f} times")


if __name__ == "__main__":
    main()
