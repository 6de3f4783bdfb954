"""How fast `apply_parallel` is, beside batchflow's, in one run: python batch_benchmark.py [--json]

64 pictures of 224x224x3 bytes, each inverted. The median of some calls, after one to warm up;
batchflow makes its pool anew in each call, so for it there is nothing to warm up.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings

import numpy as np
from aioaug import batch as ours

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


if __name__ == "__main__":  # our workers import this file; batchflow's are forks of this process
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
