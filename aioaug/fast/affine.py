"""`Affine` and its relatives: their matrices are computed for all pictures of a batch together.

imgaug makes six transforms of scikit-image's for each picture and multiplies their matrices. Here
the same numbers are multiplied in the same order, by the same function of NumPy's. Pictures of
`uint8` are written to where they stay; imgaug copies each before it is moved and once more after.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import geometric

from .pictures import LONGEST_SIDE, plain
from .replacements import Faster, replaces

QUARTER = 3.141592 / 2  # imgaug's number
IDENTITY = np.eye(3, dtype=np.float32)
NEARLY = 1e-4  # how near a matrix is to it for a picture to stay as it is, on average
# Neither scikit-image nor a channel by itself.
ORDERS = 0, 1, 3
MOST_CHANNELS = 3


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
        turned_back = _matrix(1, 1, -QUARTER, 0, 0, 0) @ _shift(
            -(width / 2.0 - shift_add[1]), -(height / 2.0 - shift_add[0])
        )
        found = np.array([_matrix(1, 1, 0, shear, 0, 0) for shear in shears_of_rows])
        found = _matrix(1, 1, QUARTER, 0, 0, 0) @ (found @ turned_back)
        moves = map(_matrix, *scales, rotations, shears, across, down)
        found = np.array(list(moves)) @ found
        return _shift(width / 2.0 - shift_add[1], height / 2.0 - shift_add[0]) @ found

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


def _formula_is_known() -> bool:
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
        is_array = isinstance(images, np.ndarray) and not return_matrices and image_shapes is None
        if not is_array or not self._is_common(images, samples):
            return super()._augment_images_by_samples(  # type: ignore[misc]
                images, samples, image_shapes, return_matrices
            )
        shape = images.shape[1:]
        matrices = samples.matrices(np.arange(len(images)), shape, shape)
        distances = np.abs(IDENTITY - matrices).reshape(-1, 9).mean(axis=1)
        pictures, moved = plain(images), np.empty(images.shape, images.dtype)
        for place, image in enumerate(pictures):
            if distances[place] <= NEARLY:
                moved[place] = image
                continue
            order, mode = samples.order[place], samples.mode[place]
            cv2.warpAffine(
                image,
                matrices[place, :2],
                (shape[1], shape[0]),
                dst=moved[place],
                flags=geometric._AFFINE_INTERPOLATION_ORDER_SKIMAGE_TO_CV2[int(order)],
                borderMode=geometric._AFFINE_MODE_SKIMAGE_TO_CV2[str(mode)],
                borderValue=tuple(int(value) for value in samples.cval[place]),
            )
        return moved

    def _is_common(self, images: Any, samples: Any) -> bool:
        """Whether OpenCV can do it for all pictures, each in one call, without any copy."""
        return (
            images.dtype == np.uint8
            and images.size > 0
            and images.flags.c_contiguous
            and images.shape[3] <= MOST_CHANNELS
            and max(images.shape[1:3]) <= LONGEST_SIDE
            and self.backend != "skimage"
            and not self.fit_output
            and all(order in ORDERS for order in samples.order)
            and all(mode in geometric._AFFINE_MODE_SKIMAGE_TO_CV2 for mode in samples.mode)
        )


if _formula_is_known():
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
