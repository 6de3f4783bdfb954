"""How fast `apply_parallel` is, beside batchflow's, in one run: python batch_benchmark.py [--json]

With `--pools` it is beside other pools of processes, at a millisecond of work for each picture.

64 pictures of 224x224x3 bytes, each inverted. The median of some calls, after one to warm up;
batchflow makes its pool anew in each call, so for it there is nothing to warm up.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

import numpy as np
from aioaug import batch as ours
from aioaug._base import system

REPEATS = {"mpc": (9, 2), "threads": (31, 31), "for": (31, 31)}


def invert(image, src=None, dst=None):
    return 255 - image


def seconds(batch, target, repeats, **options):
    taken = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        batch.apply_parallel(invert, src="images", dst="out", target=target, **options)
        taken.append(time.perf_counter() - begun)
    assert np.array_equal(batch.out, 255 - batch.images)
    return statistics.median(taken[1:])


class Ours(ours.Batch):
    components = ("images",)

    @ours.apply_parallel(src="images", dst="out", target="mpc")
    def invert_slowly(self, image):
        return invert_slowly(image)


def invert_slowly(image):
    end = time.perf_counter() + 1e-3
    while time.perf_counter() < end:
        pass
    return 255 - image


def beside_pools(images):
    """The milliseconds of a call for all pictures, the median of some, on as many processes."""
    batch, workers = Ours(np.arange(len(images)), preloaded=(images,)), system.available()
    ways = {
        "aioaug, a function": lambda: batch.apply_parallel(
            invert_slowly, src="images", dst="out", target="mpc"
        ),
        "aioaug, a method": batch.invert_slowly,
    }
    chunk = len(images) // (4 * workers)
    with ProcessPoolExecutor(workers) as pool:
        ways["ProcessPoolExecutor"] = lambda: list(pool.map(invert_slowly, images, chunksize=chunk))
        with suppress(ImportError):
            from loky import get_reusable_executor

            other = get_reusable_executor(workers)
            ways["loky"] = lambda: list(other.map(invert_slowly, images, chunksize=chunk))
        taken = {name: [] for name in ways}
        for _ in range(10):
            for name, call in ways.items():
                begun = time.perf_counter()
                call()
                taken[name].append((time.perf_counter() - begun) * 1e3)
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


if __name__ == "__main__" and "--pools" in sys.argv:
    pictures = np.random.default_rng(0).integers(0, 256, (64, 224, 224, 3), np.uint8)
    for name, milliseconds in beside_pools(pictures).items():
        print(f"{name:20} {milliseconds:6.1f} ms")
elif __name__ == "__main__":  # our workers import this file; batchflow's are forks of this process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import batchflow

    class Theirs(batchflow.Batch):
        components = ("images",)

    images = np.random.default_rng(0).integers(0, 256, (64, 224, 224, 3), np.uint8)
    mine, theirs = (kind(np.arange(64), preloaded=(images,)) for kind in (Ours, Theirs))
    # batchflow forks, which is safe only as long as there are no threads: its turn is first.
    results = {name: [seconds(theirs, name, repeats[1])] for name, repeats in REPEATS.items()}
    for name, repeats in REPEATS.items():
        results[name].insert(0, seconds(mine, name, repeats[0]))
    if "--json" in sys.argv:
        print(json.dumps(results))
    else:
        for name, (taken, other) in results.items():
            print(
                f"{name:8} aioaug {taken * 1e3:7.1f} ms   batchflow {other * 1e3:8.1f} ms"
                f"   {other / taken:6.1f} times as fast"
            )
