"""Measures every augmenter of the golden tests: plain imgaug, and the exact or close form.

    python tests/support/augmenter_times.py                    all of them, several minutes
    python tests/support/augmenter_times.py size. --seconds 2  some, more exactly
    python tests/support/augmenter_times.py --close

Printed is the processor's time of a picture and how many times as fast as imgaug's the form is, for
batches of 1 and of 64 (or fewer, where that takes long) of pictures of 64x64 and of 512x512. Both
augment the same pictures with the same seeds, in turns. What seems to be slower is measured again,
four times as long; in the end comes what still is slower by more than 3 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import aioaug.fast
import cv2
import imgaug as ia
import numpy as np
from golden import cases

SLOWER = 0.97
LONGEST = 1.0  # seconds of a batch with plain imgaug
# They need labels, write files, or check the size of pictures.
LEFT_OUT = "BlendAlphaSegMapClassIds", "BlendAlphaBoundingBoxes", "SaveDebugImage", "AssertShape"


def seconds(augmenter, images, seed):
    ia.random.seed(seed)
    augmenter.seed_(seed)
    begun = time.thread_time()
    augmenter.augment_images(images)
    return time.thread_time() - begun


def measure(plain, fast, images, budget):
    """Seconds of plain imgaug, and how many times as fast the form is: medians of the turns."""
    seconds(plain, images, 0)
    ends = time.thread_time() + budget
    found = []
    turn = 0
    while turn < 3 or time.thread_time() < ends:
        turn += 1
        order = (plain, fast) if turn % 2 else (fast, plain)
        times = {augmenter is plain: seconds(augmenter, images, turn) for augmenter in order}
        found.append((times[True], times[True] / times[False]))
    return [statistics.median(column) for column in zip(*found, strict=True)]


def batches(plain):
    for side in (64, 512):
        picture = ia.quokka_square((side, side))
        once = np.stack([picture])
        seconds(plain, once, 0)
        count = max(2, min(64, int(LONGEST / seconds(plain, once, 1))))
        yield f"1x{side}", once
        yield f"{count}x{side}", np.stack([picture] * count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="those whose names contain one of these")
    parser.add_argument("--close", action="store_true", help="close forms instead of exact ones")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each measurement")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    form = aioaug.fast.accelerate if options.close else aioaug.fast.exact
    ratios, slower = [], []
    for name, make in cases.ALL.items():
        is_wanted = not options.names or any(part in name for part in options.names)
        if not is_wanted or any(part in name for part in LEFT_OUT):
            continue
        plain = make()
        fast = form(plain)
        line = []
        for what, images in batches(plain):
            took, ratio = measure(plain, fast, images, options.seconds)
            if ratio < SLOWER:
                took, ratio = measure(plain, fast, images, 4 * options.seconds)
            if ratio < SLOWER:
                slower.append(f"{name} {what}: {ratio:.2f}")
            ratios.append(ratio)
            line.append(f"{what} {took / len(images) * 1000:.3f} ms {ratio:.2f}x")
        print(f"{name}: {', '.join(line)}", flush=True)
    print(f"{len(ratios)} figures, {statistics.median(ratios):.2f} times as fast in the median")
    print(f"{len(slower)} below {SLOWER}", *slower, sep="\n")


if __name__ == "__main__":
    main()
