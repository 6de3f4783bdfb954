"""OpenCV's filters of bytes, of all channels at once, and by way of `float32`.

For each number of a matrix, OpenCV makes a `float32` of each byte anew. A picture that becomes
`float32` once, and bytes again at the end, takes two thirds of the time for a matrix of 13 numbers.
This pays for ten numbers or more, as long as the picture fits into the processor's caches and
the memory for it is there already: a single picture takes no less time.

The sums are of the same numbers, in the same order, by the same instructions, but for the last
values of a row that do not fill a vector: some of those may be rounded once more or less. imgaug
filters each channel by itself, whose rows end elsewhere. So where bytes must be the same, the last
columns that are no whole vector are filtered as imgaug does, and `bytes_are_the_same` tries the
rest with OpenCV as it is here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np

from .scratch import scratch

LEAST, MOST = 2**15, 2**18  # values of a picture; more of them do not fit into caches as float32
SEVERAL = 4  # pictures of a batch; the first one finds memory that is in no cache
FEWEST = 10  # numbers of a matrix that are not 0; with 9, it depends on how busy the caches are
LARGEST_MATRIX = 11 * 11  # above it, OpenCV uses Fourier transforms
VECTOR = 32  # values that OpenCV takes at once, at most


def filter_bytes_(
    image: Any, matrix: Any, pictures: int, delta: float = 0, halves: bool = True
) -> None:
    """`cv2.filter2D` of each channel of a contiguous picture (H,W,C) of `uint8`, in place.

    Args:
        pictures: How many of them there are in the batch.
        halves: Whether sums can be half way between two levels, where rounding matters.
    """
    as_floats = (
        pictures >= SEVERAL and _pays(image, matrix) and (not halves or bytes_are_the_same())
    )
    rest = image.shape[1] % VECTOR if halves and (as_floats or image.shape[2] > 1) else 0
    columns = _last_columns(image, matrix, delta, rest) if rest else None
    if rest == image.shape[1]:
        pass  # the last columns are all that there are
    elif as_floats:
        filter_as_floats(image, matrix, scratch(image.shape, np.float32), delta)
    else:
        cv2.filter2D(image, -1, matrix, dst=image, delta=delta)
    if columns is not None:
        image[:, -rest:] = columns


def _pays(image: Any, matrix: Any) -> bool:
    if not FEWEST <= matrix.size <= LARGEST_MATRIX or not LEAST <= image.size <= MOST:
        return False
    return bool(matrix.dtype == np.float32 and np.count_nonzero(matrix) >= FEWEST)


def _last_columns(image: Any, matrix: Any, delta: float, count: int) -> Any:
    """So many of them, filtered channel by channel with some columns before, of one more vector."""
    channels = cv2.split(image[:, -count - VECTOR :])
    filtered = cv2.merge([cv2.filter2D(channel, -1, matrix, delta=delta) for channel in channels])
    return filtered.reshape(len(image), -1, image.shape[2])[:, -count:]


def filter_as_floats(image: Any, matrix: Any, floats: Any, delta: float = 0) -> None:
    """Filter a picture in place; `floats` is memory of its shape, whose content does not matter."""
    np.copyto(floats.reshape(-1), image.reshape(-1))  # along three axes it takes longer
    cv2.filter2D(floats, -1, matrix, dst=floats, delta=delta)
    if matrix.min() < 0:  # of sums below 0, OpenCV would take the absolute values
        cv2.threshold(floats, 0, 0, cv2.THRESH_TOZERO, dst=floats)
    cv2.convertScaleAbs(floats, dst=image)


@cache
def bytes_are_the_same() -> bool:
    """Whether both ways come to the same bytes here.

    Many of these sums are half way between two levels, so that rounding once more or less, or in
    another order, makes a whole level of difference for dozens of the values.
    """
    noise = np.random.default_rng(1).integers(0, 256, (64, 2 * VECTOR, 3), np.uint8)
    for side, around, center in ((3, 1 / 10, 2 / 10), (3, -1 / 6, 9 / 6), (5, 1 / 26, 2 / 26)):
        matrix = np.full((side, side), around, np.float32)
        matrix[side // 2, side // 2] = center
        done = noise.copy()
        filter_as_floats(done, matrix, np.empty(noise.shape, np.float32))
        if not np.array_equal(done, cv2.filter2D(noise, -1, matrix)):
            return False
    return True
