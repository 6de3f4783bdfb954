"""`Affine` and its relatives: their matrices are computed for all pictures of a batch together.

imgaug makes six transforms of scikit-image's for each picture and multiplies their matrices. Here
the same numbers are multiplied in the same order, by the same function of NumPy's. Pictures of
`uint8` are written to where they stay; imgaug copies each before it is moved and once more after.
"""

from __future__ import annotations

import copy
import math
from functools import lru_cache
from typing import Any

import imgaug as ia
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import geometric

from .fourth_channel import pays_with_fourth, with_fourth, without_fourth
from .pictures import LONGEST_SIDE, changeable
from .replacements import Faster, replaces

QUARTER = 3.141592 / 2  # imgaug's number
IDENTITY = np.eye(3, dtype=np.float32)
NEARLY = 1e-4  # how near a matrix is to it for a picture to stay as it is, on average
# Neither scikit-image nor a channel by itself.
ORDERS = 0, 1, 3
MOST_CHANNELS = 3
LINEAR = 1


class AffineMatrices(geometric._AffineSamplingResult):  # type: ignore[misc]
    """What is drawn for a batch, and the matrices that it comes to."""

    def matrices(
        self, numbers: Any, arr_shape: Any, image_shape: Any, shift_add: Any = (0.5, 0.5)
    ) -> Any:
        """Those (N,3,3) of some pictures, given by an array of their numbers, of one size."""
        height, width = arr_shape[:2]
        across, down = (
            self._translations(numbers, axis, arr_shape[1 - axis], image_shape[1 - axis])
            for axis in (0, 1)
        )
        drawn = [self.rotate[numbers], self.shear[0][numbers], self.shear[1][numbers]]
        rotations, shears, shears_of_rows = np.deg2rad(np.array(drawn)).astype(float).tolist()
        scales = (self.scale[axis][numbers].astype(float).tolist() for axis in (0, 1))
        center = width / 2.0 - shift_add[1], height / 2.0 - shift_add[0]
        sheared = _sheared(*center, shears_of_rows) if any(shears_of_rows) else _kept(*center)
        moves = map(_matrix, *scales, rotations, shears, across, down)
        return _shift(*center) @ (np.array(list(moves)) @ sheared)

    def _translations(self, numbers: Any, axis: int, length: int, of_image: int) -> list[float]:
        """In pixels."""
        drawn = self.translate[axis][numbers].astype(float)
        parts = drawn if self.translate_mode == "percent" else drawn / of_image
        return (parts * length).tolist()  # type: ignore[no-any-return]

    def to_matrix(
        self,
        idx: int,
        arr_shape: Any,
        image_shape: Any,
        fit_output: bool,
        shift_add: Any = (0.5, 0.5),
    ) -> tuple[Any, Any]:
        """imgaug's method, for one picture or for its labels."""
        if 0 in image_shape:
            return super().to_matrix(idx, arr_shape, image_shape, fit_output, shift_add)  # type: ignore[no-any-return]
        found = self.matrices(np.array([idx]), arr_shape, image_shape, shift_add)
        matrix = geometric.tf.ProjectiveTransform(found[0])
        if fit_output:
            return geometric._compute_affine_warp_output_shape(matrix, arr_shape)  # type: ignore[no-any-return]
        return matrix, arr_shape

    def copy(self) -> AffineMatrices:
        """imgaug changes the copy."""
        return copy.copy(self)


def _matrix(
    scale_x: float, scale_y: float, rotation: float, shear: float, across: float, down: float
) -> Any:
    """By scikit-image's formula."""
    cos, sin, slope = math.cos(rotation), math.sin(rotation), math.tan(shear)
    return np.array(
        [
            [scale_x * cos, -scale_y * (slope * cos + sin), across],
            [scale_x * sin, -scale_y * (slope * sin - cos), down],
            [0, 0, 1],
        ]
    )


def turnings(angles: list[Any], length: int) -> Any:
    """The matrices (N,3,3) of a square that is turned by so many degrees, and no more."""
    rotations = [float(np.deg2rad(_as_drawn(angle))) for angle in angles]
    found = np.array([_matrix(1, 1, rotation, 0, 0, 0) for rotation in rotations])
    return _back_from_center(length) @ (found @ _unsheared(length))


def _as_drawn(angle: Any) -> Any:
    """Of the kind of number that imgaug has of a constant."""
    if type(angle) is np.float32:
        return angle
    return float(angle) if ia.is_single_integer(angle) else np.float32(angle)


def _sheared(across: float, down: float, shears_of_rows: list[float]) -> Any:
    """What comes before the turns around that center, (N,3,3)."""
    turned_back = _matrix(1, 1, -QUARTER, 0, 0, 0) @ _shift(-across, -down)
    found = np.array([_matrix(1, 1, 0, shear, 0, 0) for shear in shears_of_rows])
    return _matrix(1, 1, QUARTER, 0, 0, 0) @ (found @ turned_back)


@lru_cache(maxsize=64)
def _kept(across: float, down: float) -> Any:
    """The same where no rows are sheared, which is so in most batches: computed once for a size."""
    return _sheared(across, down, [0.0])


@lru_cache(maxsize=64)
def _unsheared(length: int) -> Any:
    """What comes before the turn in `AffineMatrices.matrices`, and is the same for all turns."""
    center = length / 2.0 - 0.5
    turned_back = _matrix(1, 1, -QUARTER, 0, 0, 0) @ _shift(-center, -center)
    return _matrix(1, 1, QUARTER, 0, 0, 0) @ (np.eye(3)[np.newaxis] @ turned_back)


@lru_cache(maxsize=64)
def _back_from_center(length: int) -> Any:
    return _shift(length / 2.0 - 0.5, length / 2.0 - 0.5)


def formula_is_known() -> bool:
    """Whether this release of scikit-image has this formula; it had another one before."""
    numbers = {"scale": (1.2, 0.7), "rotation": 0.3, "shear": 0.2, "translation": (3.0, 4.0)}
    expected = _matrix(1.2, 0.7, 0.3, 0.2, 3.0, 4.0)
    return bool((geometric.tf.AffineTransform(**numbers).params == expected).all())


def _shift(across: float, down: float) -> Any:
    matrix = np.eye(3)
    matrix[:2, 2] = across, down
    return matrix


class MovedByMatrices(Faster):
    def _draw_samples(self, nb_samples: int, random_state: Any) -> Any:
        drawn = super()._draw_samples(nb_samples, random_state)  # type: ignore[misc]
        drawn.__class__ = AffineMatrices
        return drawn

    def _augment_images_by_samples(
        self,
        images: Any,
        samples: Any,
        image_shapes: Any = None,
        return_matrices: bool = False,
    ) -> Any:
        if return_matrices or image_shapes is not None or not self._is_common(images, samples):
            return super()._augment_images_by_samples(  # type: ignore[misc]
                images, samples, image_shapes, return_matrices
            )
        if isinstance(images, list):
            return [self._moved_alone(place, one, samples) for place, one in enumerate(images)]
        shape = images.shape[1:]
        matrices = samples.matrices(np.arange(len(images)), shape, shape)
        distances = np.abs(IDENTITY - matrices).reshape(-1, 9).mean(axis=1)
        images = changeable(images)
        for place in np.flatnonzero(~(distances <= NEARLY)).tolist():
            _warp(images[place], matrices[place], samples, place, images[place])
        return images

    def _moved_alone(self, place: int, image: Any, samples: Any) -> Any:
        """A picture of a list, which stays the same object if it stays where it is."""
        matrix = samples.matrices(np.array([place]), image.shape, image.shape)[0]
        if np.abs(IDENTITY - matrix).mean() <= NEARLY:
            return image
        return _warp(image, matrix, samples, place, None)

    def _is_common(self, images: Any, samples: Any) -> bool:
        """Whether OpenCV can do it for all pictures, each in one call, without any copy."""
        if isinstance(images, list):
            # Of fewer channels imgaug makes views, and augmenters treat those otherwise.
            are_common = all(
                image.ndim == 3 and image.shape[2] == MOST_CHANNELS and _is_plain(image)
                for image in images
            )
        else:
            are_common = _is_plain(images) and images.shape[3] <= MOST_CHANNELS
        return (
            are_common
            and self.backend != "skimage"
            and not self.fit_output
            and all(order in ORDERS for order in samples.order)
            and all(mode in geometric._AFFINE_MODE_SKIMAGE_TO_CV2 for mode in samples.mode)
        )


def _is_plain(pixels: Any) -> bool:
    """Whether OpenCV takes the pixels of a picture, or of an array of them, as they are."""
    return bool(
        pixels.dtype == np.uint8
        and pixels.size > 0
        and pixels.flags.c_contiguous
        and max(pixels.shape[-3:-1]) <= LONGEST_SIDE
    )


def _warp(image: Any, matrix: Any, samples: Any, place: int, moved: Any) -> Any:
    """Move one picture, into an array if there is one, which may be that of the picture."""
    order, mode = int(samples.order[place]), samples.mode[place]
    height, width = image.shape[:2]
    has_fourth = order == LINEAR and pays_with_fourth(image)
    warped = geometric.cv2.warpAffine(  # which does not hang where OpenCV's does
        with_fourth(image) if has_fourth else image,
        matrix[:2],
        (width, height),
        flags=geometric._AFFINE_INTERPOLATION_ORDER_SKIMAGE_TO_CV2[order],
        borderMode=geometric._AFFINE_MODE_SKIMAGE_TO_CV2[str(mode)],
        borderValue=tuple(int(value) for value in samples.cval[place]),
    )
    if has_fourth:
        return without_fourth(warped, moved)
    if moved is None:
        return warped
    moved[...] = warped.reshape(moved.shape)
    return moved


if formula_is_known():
    replaces(
        iaa.Affine,
        iaa.ScaleX,
        iaa.ScaleY,
        iaa.TranslateX,
        iaa.TranslateY,
        iaa.Rotate,
        iaa.ShearX,
        iaa.ShearY,
    )(MovedByMatrices)
