"""What something costs a stream, or saves it: two kinds of streams in turns, each of two workers.

python tests/support/stream_figures.py exact [ROUNDS [SECONDS]]    the exact forms, in `typical`
python tests/support/stream_figures.py labels [ROUNDS [SECONDS]]   labels beside the images
"""

from __future__ import annotations

import statistics
import sys
import time

import aioaug
import numpy as np
from aioaug.bench.workloads import STREAMS, WorkloadSource


def images_of(name):
    return (batch.images_unaug for batch in WorkloadSource(STREAMS[name]))


def labelled(name):
    return ((images, np.arange(len(images))) for images in images_of(name))


def without_forms(augmenter):
    """The same augmenters, each of a class that nothing is known of.

    A pool replaces no subclass of a user's own, so these run imgaug's own code.
    """
    for each in [augmenter, *augmenter]:
        kind = type(each)
        each.__class__ = type(f"My{kind.__name__}", (kind,), {})
    return augmenter


async def rate(augmenter, source, seconds):
    """Batches a second."""
    async with aioaug.AsyncPool(augmenter, 2, seed=1) as pool:
        async with pool.imap_batches(source) as stream:
            for _ in range(8):
                await anext(stream)
            begun, count = time.perf_counter(), 0
            while time.perf_counter() - begun < seconds:
                await anext(stream)
                count += 1
            return count / (time.perf_counter() - begun)


def exact():
    make = STREAMS["typical"].make
    yield "without forms", without_forms(make()), images_of("typical")
    yield "with forms", make(), images_of("typical")


def labels(name="identity"):
    yield "images alone", STREAMS[name].make(), images_of(name)
    yield "with labels", STREAMS[name].make(), labelled(name)


async def main(kinds, rounds=5, seconds=3.0):
    ratios = []
    for _ in range(int(rounds)):
        rates = {}
        for name, augmenter, source in kinds():
            rates[name] = await rate(augmenter, source, seconds)
        before, after = rates.values()
        ratios.append(after / before)
        print(", ".join(f"{name} {each:.1f} batches/s" for name, each in rates.items()), flush=True)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{' / '.join(reversed(rates))}: {middle:.3f} [{low:.3f}-{high:.3f}]")


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    aioaug.run(main({"exact": exact, "labels": labels}[what], *map(float, numbers)))
