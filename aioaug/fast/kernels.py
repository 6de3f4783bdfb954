"""Convolutions, and pooling by blocks.

OpenCV filters all channels in one call, each by itself, as imgaug does in a call for each. A sum of
bytes is exact in whole numbers as in `float64`, and the greatest of them does not depend on the
order. What is not of `uint8` is left to imgaug; with large matrices, for which OpenCV uses Fourier
transforms, channels are filtered one by one as well.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import convolutional
from imgaug.augmenters.size import pad_to_multiples_of

from .draws import draw_numbers
from .filtering import filter_bytes_
from .motion import Turned
from .pictures import are_bytes, stay_in_place, writable
from .replacements import Faster, replaces

LARGEST_MATRIX = 9 * 9
LARGEST_BLOCK = 16 * 16  # so many bytes are below 2**16 together


@replaces(
    iaa.Convolve,
    iaa.Sharpen,
    iaa.Emboss,
    iaa.EdgeDetect,
    iaa.DirectedEdgeDetect,
    iaa.MotionBlur,
)
class Convolved(Faster):
    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        is_own = self.matrix_type == "function" and type(self.matrix).__module__ not in GENERATORS
        images = batch.images
        is_common = are_bytes(images) and stay_in_place(images)
        if not is_common or self.matrix_type == "None" or is_own:
            return self._as_imgaug(batch, random_state, parents, hooks)
        pictures = writable(batch)
        matrices = matrices_for(self, pictures, random_state)
        for image, matrix in zip(pictures, matrices, strict=True):
            if image.shape[2] <= 4 and matrix.size <= LARGEST_MATRIX:
                filter_bytes_(image, matrix, len(images))
                continue
            for channel in range(image.shape[2]):
                image[..., channel] = cv2.filter2D(image[..., channel].copy(), -1, matrix)
        return batch


def matrices_for(augmenter: Any, images: Any, random_state: Any) -> Iterable[Any]:
    """One for each picture, as an augmenter of imgaug's that convolves draws them."""
    matrix = augmenter.matrix
    if augmenter.matrix_type != "function":
        return [matrix] * len(images)
    if isinstance(matrix, Turned):
        return matrix.draw_matrices(len(images), random_state)  # type: ignore[no-any-return]
    return [matrix(image, 1, random_state)[0] for image in images]


# Generators of these modules make one matrix for all channels, and do not look at the picture.
GENERATORS = (
    "imgaug.augmenters.convolutional",
    "imgaug.augmenters.blur",
    f"{__package__}.motion",
    __name__,
)


class MixedMatrices(Faster):
    """Matrices (3,3) between one that changes nothing and another one.

    imgaug makes arrays of lists of numbers for each, which takes as long as the rest.
    """

    unchanged = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    drawn: ClassVar[str]  # the name of the parameter that the other one depends on

    def __call__(self, image: Any, channels: int, random_state: Any) -> Any:
        alpha, number = draw_numbers(random_state, self.alpha, getattr(self, self.drawn))
        if not 0 <= alpha <= 1.0:  # as imgaug says it
            raise AssertionError(
                f"Expected 'alpha' to be in the interval [0.0, 1.0], got {alpha:.4f}."
            )
        return [(1 - alpha) * self.unchanged + alpha * self._other(number)] * channels

    @abstractmethod
    def _other(self, number: Any) -> Any:
        """The other one, of `float32`."""


@replaces(convolutional._SharpeningMatrixGenerator)
class SharpeningMatrices(MixedMatrices):
    drawn = "lightness"
    around = np.full((3, 3), -1, np.float32)

    def _other(self, number: Any) -> Any:
        matrix = self.around.copy()
        matrix[1, 1] = 8 + number
        return matrix


@replaces(convolutional._EmbossMatrixGenerator)
class EmbossingMatrices(MixedMatrices):
    drawn = "strength"
    flat = np.array([[-1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    raised = np.array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]], np.float32)

    def _other(self, number: Any) -> Any:
        return (self.flat + number * self.raised).astype(np.float32, copy=False)


def _folded(combine: Callable[..., Any], parts: Iterable[Any], kind: Any) -> Any:
    first, *others = parts
    total = first.astype(kind)
    for part in others:
        combine(total, part, out=total)
    return total


def _pooled(image: Any, height: int, width: int, combine: Callable[..., Any], kind: Any) -> Any:
    """One value for each block, for a picture of whole blocks."""
    rows = _folded(combine, (image[start::height] for start in range(height)), kind)
    return _folded(combine, (rows[:, start::width] for start in range(width)), kind)


def _is_common(image: Any, height: int, width: int) -> bool:
    return image.dtype == np.uint8 and image.size > 0 and height * width <= LARGEST_BLOCK


class Pooled(Faster):
    """A pooling of blocks: how a picture is padded, and how the values of a block are combined."""

    padding: ClassVar[Mapping[str, Any]]
    combine: Any
    kind: Any = np.uint8  # of number, in between

    def _pool_image(self, image: Any, height: int, width: int) -> Any:
        if not _is_common(image, height, width):
            return super()._pool_image(image, height, width)  # type: ignore[misc]
        image = pad_to_multiples_of(image, height, width, **self.padding)
        return self._level(_pooled(image, height, width, self.combine, self.kind), height * width)

    def _level(self, pooled: Any, count: int) -> Any:
        """The value of a block of so many pixels."""
        return pooled


@replaces(iaa.MaxPooling)
class MaximumPooled(Pooled):
    padding: ClassVar[Mapping[str, Any]] = {"mode": "edge"}
    combine = np.maximum


@replaces(iaa.MinPooling)
class MinimumPooled(Pooled):
    padding: ClassVar[Mapping[str, Any]] = {"mode": "edge", "cval": 255}
    combine = np.minimum


@replaces(iaa.AveragePooling)
class AveragePooled(Pooled):
    """The quotient is cut off at the point, as imgaug does."""

    padding: ClassVar[Mapping[str, Any]] = {"mode": "reflect", "cval": 128}
    combine = np.add
    kind = np.uint16

    def _level(self, pooled: Any, count: int) -> Any:
        return (pooled // count).astype(np.uint8)


@replaces(iaa.MedianPooling)
class MedianPooled(Faster):
    """Of an odd number of values, a block's median is that of OpenCV's blur at its center."""

    def _pool_image(self, image: Any, height: int, width: int) -> Any:
        if (
            not _is_common(image, height, width)
            or height != width
            or height not in (3, 5)
            or image.shape[2] > 4
        ):
            return super()._pool_image(image, height, width)  # type: ignore[misc]
        image = pad_to_multiples_of(image, height, width, mode="reflect", cval=128)
        medians = cv2.medianBlur(np.ascontiguousarray(image), height).reshape(image.shape)
        return np.ascontiguousarray(medians[height // 2 :: height, width // 2 :: width])
