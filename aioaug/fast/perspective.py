"""`PerspectiveTransform`: corners are computed for a batch together, and pictures stay in place.

imgaug goes through the corners of each picture number by number, which takes a tenth of the time.
The numbers are the same, but for lengths, which may be rounded otherwise: only their whole pixels
count, and where those could differ, the batch is left to imgaug.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import geometric

from .fourth_channel import pays_with_fourth, with_fourth, without_fourth
from .pictures import as_it_is, plain
from .replacements import Faster, calling, replaces
from .sizes import are_small_array, resize_into

SEVERAL = 8  # pictures; fewer take longer together than one by one
DOUBT = 1e-6  # of a length: more than its rounding errors in `float32`
# Corners and axes where jitter is a distance from the right or from the bottom.
MIRRORED = ((1, 0), (2, 0), (2, 1), (3, 1))


@replaces(iaa.PerspectiveTransform)
class SeenInPlace(Faster):
    _see_others = calling(
        iaa.PerspectiveTransform._augment_images_by_samples, _normalize_cv2_input_arr_=as_it_is
    )

    def _draw_samples(self, shapes: Any, random_state: Any) -> Any:
        if not self.fit_output and len(shapes) >= SEVERAL:
            before = random_state.copy()
            drawn = self._draw_together(shapes, random_state)
            if drawn is not None:
                return drawn
            random_state = before  # the numbers that were drawn, once more
        return super()._draw_samples(shapes, random_state)  # type: ignore[misc]

    def _draw_together(self, shapes: Any, random_state: Any) -> Any:
        """imgaug's samples; or `None` where they must be computed in its own way."""
        count = len(shapes)
        colors = self.cval.draw_samples((count, 3), random_state=random_state).tolist()
        modes = self.mode.draw_samples((count,), random_state=random_state)
        jitter = self.jitter.draw_samples((count, 4, 2), random_state=random_state)
        if modes.dtype.kind not in "iu":
            for mode, number in self._BORDER_MODE_STR_TO_INT.items():
                modes[modes == mode] = number
        corners = _in_order(_corners(jitter, shapes))
        widths, heights = _lengths(corners, (0, 3), (1, 2)), _lengths(corners, (0, 1), (3, 2))
        if not _are_certain(widths, self.min_width) or not _are_certain(heights, self.min_height):
            return None
        widths, heights = (
            lengths.max(axis=0).astype(int).tolist() for lengths in (widths, heights)
        )
        matrices = [
            cv2.getPerspectiveTransform(found, _rectangle(width, height))
            for found, width, height in zip(corners, widths, heights, strict=True)
        ]
        return geometric._PerspectiveTransformSamplingResult(
            matrices, heights, widths, colors, modes.astype(np.int32)
        )

    def _augment_images_by_samples(self, images: Any, samples: Any) -> Any:
        if not self.keep_size or not are_small_array(images):
            return self._see_others(images, samples)
        drawn = samples.matrices, samples.max_heights, samples.max_widths, samples.cvals
        pictures = plain(images)
        has_fourth = pays_with_fourth(pictures[0])
        for image, matrix, height, width, color, mode in zip(
            pictures, *drawn, samples.modes, strict=False
        ):
            seen = cv2.warpPerspective(
                with_fourth(image) if has_fourth else image,
                matrix,
                (width, height),
                borderValue=color,
                borderMode=mode,
            )
            seen = without_fourth(seen) if has_fourth else seen.reshape(*seen.shape[:2], -1)
            resize_into(image, seen)
        return pictures


def _corners(jitter: Any, shapes: Any) -> Any:
    """(N,4,2), as x and y, in pixels: from the top left one, clockwise."""
    corners = np.mod(np.abs(jitter), 1)
    for corner, axis in MIRRORED:
        corners[:, corner, axis] = 1.0 - corners[:, corner, axis]
    sizes = np.array([(shape[1], shape[0]) for shape in shapes], corners.dtype)
    corners *= sizes[:, np.newaxis]
    return corners


def _in_order(corners: Any) -> Any:
    """By their sums and differences, as jitter may have moved one across another."""
    sums = corners.sum(axis=2)
    differences = np.diff(corners, axis=2)[..., 0]
    order = sums.argmin(1), differences.argmin(1), sums.argmax(1), differences.argmax(1)
    picture = np.arange(len(corners))[:, np.newaxis]
    return corners[picture, np.stack(order, axis=1)].astype(np.float32)


def _lengths(corners: Any, starts: tuple[int, int], ends: tuple[int, int]) -> Any:
    """Those of two opposite sides (2,N), each from a corner to another one."""
    steps = corners[:, ends] - corners[:, starts]
    return np.sqrt(steps[..., 0] ** 2 + steps[..., 1] ** 2).T


def _are_certain(lengths: Any, least: int) -> bool:
    """Whether whole pixels of lengths do not depend on rounding, and are enough for imgaug."""
    near = np.abs(lengths - np.rint(lengths)) <= DOUBT * lengths
    return bool(not near.any() and lengths.min() >= least + 1)


def _rectangle(width: int, height: int) -> Any:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
