"""OpenCV's filters of bytes, computed from `float32`.

For each number of a matrix, OpenCV makes a `float32` of each byte anew. A picture that becomes
`float32` once, and bytes again at the end, takes two thirds of the time for a matrix of 13 numbers.
This pays as long as the picture fits into the processor's caches, and for more than a few numbers.

The sums are of the same numbers, in the same order, by the same instructions, but for the last
values of a row that do not fill a vector: some of those may be rounded once more. So rows are whole
vectors where bytes must be the same, and `bytes_are_the_same` tries it with OpenCV as it is here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np

MOST = 2**18  # values of a picture; more of them do not fit into the caches as float32
FEWEST = 8  # numbers of a matrix that are not 0; fewer take no longer with bytes
LARGEST_MATRIX = 11 * 11  # above it, OpenCV uses Fourier transforms
VECTOR = 32  # values that OpenCV takes at once, at most


class ByteFilter:
    """Filters pictures one after the other, and keeps the memory that it needs.

    Args:
        close: A value may be another one if its sum is half way between two levels.
    """

    def __init__(self, close: bool = False) -> None:
        self._close = close
        self._floats: Any = None

    def filter_(self, image: Any, matrix: Any, delta: float = 0) -> None:
        """`cv2.filter2D` of a contiguous picture (H,W,C) of `uint8`, in place."""
        if self._pays(image, matrix):
            if self._floats is None or self._floats.shape != image.shape:
                self._floats = np.empty(image.shape, np.float32)
            filter_as_floats(image, matrix, self._floats, delta)
        else:
            cv2.filter2D(image, -1, matrix, dst=image, delta=delta)

    def _pays(self, image: Any, matrix: Any) -> bool:
        if image.size > MOST or matrix.dtype != np.float32 or matrix.size > LARGEST_MATRIX:
            return False
        if np.count_nonzero(matrix) < FEWEST:
            return False
        row = image.shape[1] * image.shape[2]
        return self._close or (row % VECTOR == 0 and bytes_are_the_same())


def filter_as_floats(image: Any, matrix: Any, floats: Any, delta: float = 0) -> None:
    """Filter a picture in place; `floats` is memory of its shape, whose content does not matter."""
    np.copyto(floats, image)
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
