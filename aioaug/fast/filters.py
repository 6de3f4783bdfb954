"""Pillow's filters, by OpenCV.

Pillow rounds halves up and leaves a border as it is. Halves occur where a filter divides by a power
of two, and then `UP` rounds them up. It is more than the rounding errors of `float32`, and less
than what other quotients are away from a half. So the bytes are equal.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from imgaug.augmenters import pillike
from PIL import ImageFilter

from .filtering import filter_bytes_
from .pictures import are_bytes
from .replacements import Faster, replaces

UP = 1e-3


class FilteredByOpenCV(Faster):
    filters: ClassVar[dict[str, Any]] = {
        "FilterBlur": ImageFilter.BLUR,
        "FilterSmooth": ImageFilter.SMOOTH,
        "FilterSmoothMore": ImageFilter.SMOOTH_MORE,
        "FilterEdgeEnhance": ImageFilter.EDGE_ENHANCE,
        "FilterEdgeEnhanceMore": ImageFilter.EDGE_ENHANCE_MORE,
        "FilterFindEdges": ImageFilter.FIND_EDGES,
        "FilterContour": ImageFilter.CONTOUR,
        "FilterEmboss": ImageFilter.EMBOSS,
        "FilterSharpen": ImageFilter.SHARPEN,
        "FilterDetail": ImageFilter.DETAIL,
    }

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        if not are_bytes(images) or any(image.shape[2] not in (1, 3, 4) for image in images):
            return self._as_imgaug(batch, random_state, parents, hooks)
        (height, width), divisor, offset, numbers = self.filters[type(self).__name__].filterargs
        matrix = np.array(numbers, np.float32).reshape(height, width) / divisor
        matrix = matrix[::-1]  # in Pillow, it is upside down
        top, left = height // 2, width // 2
        for image in images:
            if image.shape[0] < height or image.shape[1] < width:
                continue  # it is all border
            pixels = np.array(image, order="C")
            filter_bytes_(pixels, matrix, len(images), offset + UP, halves=False)
            inside = slice(top, -top), slice(left, -left)
            image[inside] = pixels[inside]
        return batch


@replaces(
    pillike.FilterBlur,
    pillike.FilterSmooth,
    pillike.FilterEdgeEnhance,
    pillike.FilterEdgeEnhanceMore,
    pillike.FilterFindEdges,
    pillike.FilterContour,
    pillike.FilterEmboss,
    pillike.FilterSharpen,
)
class FilteredExactly(FilteredByOpenCV):
    """Those that divide by a power of two, or by 13."""
