"""keras_preprocessing 1.1.2 on today's SciPy, about the true centre of pictures."""

from __future__ import annotations

from types import SimpleNamespace

from keras_preprocessing.image import ImageDataGenerator, affine_transformations
from scipy import ndimage

# SciPy deprecated the module that it reaches through.
affine_transformations.ndimage = SimpleNamespace(interpolation=ndimage)
ORIGINAL_CENTRE = affine_transformations.transform_matrix_offset_center


def true_centre(matrix, height, width):
    """The original's formula about (n - 1) / 2; it has n / 2 + 1 / 2, one pixel off on each axis.

    Keras corrected it in later versions.
    """
    return ORIGINAL_CENTRE(matrix, height - 2, width - 2)


affine_transformations.transform_matrix_offset_center = true_centre

__all__ = ["ImageDataGenerator"]
