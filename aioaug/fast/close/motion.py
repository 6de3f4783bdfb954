"""Blurs along a line, as by motion.

From about 11 times 11 numbers on, OpenCV convolves by Fourier transforms, which cost the same for
a matrix of zeros. Most numbers of a line's matrix are zeros, and smaller matrices are convolved
by the other numbers only. So the matrix is taken apart, and the sums of the parts are added in
`float32`. A value can differ by a level where its sum is half way between two levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np

from ..filtering import filter_bytes_
from ..kernels import matrices_for
from ..pictures import are_bytes, stay_in_place, writable
from ..replacements import Faster, replaces

LARGEST_MATRIX = 11 * 11  # for which OpenCV computes with the numbers themselves


def convolve_line(image: Any, matrix: Any) -> Any:
    """A picture of `uint8`, of two or three axes, convolved with a matrix that has many zeros."""
    if matrix.size <= LARGEST_MATRIX:
        return cv2.filter2D(image, -1, matrix).reshape(image.shape)
    height, width = image.shape[:2]
    half = len(matrix) // 2
    framed = cv2.copyMakeBorder(image, half, half, half, half, cv2.BORDER_REFLECT_101)
    framed = framed.astype(np.float32)
    total: Any = None
    for top, left, part in _parts(matrix, 0, 0):
        bottom, right = top + height + part.shape[0] - 1, left + width + part.shape[1] - 1
        section = framed[top:bottom, left:right]
        summed = cv2.filter2D(section, -1, part, anchor=(0, 0))[:height, :width]
        total = summed if total is None else cv2.add(total, summed)
    return np.rint(total).astype(np.uint8).reshape(image.shape)


def _parts(matrix: Any, top: int, left: int) -> Iterator[tuple[int, int, Any]]:
    """Small matrices that are the matrix together, without zeros around, and their places."""
    rows, columns = np.flatnonzero(matrix.any(axis=1)), np.flatnonzero(matrix.any(axis=0))
    if not len(rows):
        return
    matrix = matrix[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = top + int(rows[0]), left + int(columns[0])
    if matrix.size <= LARGEST_MATRIX:
        yield top, left, np.ascontiguousarray(matrix)
    elif len(matrix) >= matrix.shape[1]:
        middle = len(matrix) // 2
        yield from _parts(matrix[:middle], top, left)
        yield from _parts(matrix[middle:], top + middle, left)
    else:
        middle = matrix.shape[1] // 2
        yield from _parts(matrix[:, :middle], top, left)
        yield from _parts(matrix[:, middle:], top, left + middle)


@replaces(iaa.MotionBlur, close=True)
class MotionBlurredByParts(Faster):
    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        is_common = are_bytes(images) and stay_in_place(images)
        if not is_common or any(image.shape[2] > 4 for image in images):
            return self._as_imgaug(batch, random_state, parents, hooks)
        pictures = writable(batch)
        matrices = matrices_for(self, pictures, random_state)
        for image, matrix in zip(pictures, matrices, strict=True):
            if matrix.size <= LARGEST_MATRIX:
                filter_bytes_(image, matrix, len(images), halves=False)
            else:
                image[...] = convolve_line(image, matrix)
        return batch
