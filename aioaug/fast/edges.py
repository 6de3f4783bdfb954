"""`Canny`: OpenCV finds the edges, as in imgaug; they are colored by a table of two colors."""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np

from .colors import BLEND
from .replacements import Faster, calling, replaces


@replaces(iaa.RandomColorsBinaryImageColorizer)
class ColoredByTable(Faster):
    def colorize(
        self, image_binary: Any, image_original: Any, nth_image: Any, random_state: Any
    ) -> Any:
        """What imgaug's does for pictures of three channels."""
        if image_original.shape[2] != 3:
            return super().colorize(image_binary, image_original, nth_image, random_state)  # type: ignore[misc]
        colors = np.zeros((256, 1, 3), np.uint8)
        colors[1], colors[0] = self._draw_samples(random_state)
        edges = cv2.merge([image_binary.view(np.uint8)] * 3)
        return cv2.LUT(edges, colors)


@replaces(iaa.Canny)
class EdgesColored(Faster):
    _augment_batch_ = calling(iaa.Canny._augment_batch_, blend=BLEND)
