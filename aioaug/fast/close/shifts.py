"""`ElasticTransformation`: shifts of pixels in `float32`, and all points at once.

imgaug blurs its noise as `float64`, and more of it around the picture than it uses. Places are
rounded to 1/32 of a pixel as in imgaug. Some of them lie so near to the limit that they are rounded
to the other side, which is 1/32 of the difference between two pixels.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug as ia
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import blur, geometric

from ..pictures import LONGEST_SIDE
from ..replacements import Faster, replaces

PLAIN = iaa.ElasticTransformation
LEAST_SIGMA = 0.01  # below, there is nothing to blur
STEP = 1e-5  # pixels; a median is found when it moves by less
LEAST_SQUARE = 1e-18  # of a distance by which is divided


@replaces(PLAIN, close=True)
class Shifted(Faster):
    """What is done with the shifts, to pictures and to labels, is imgaug's."""

    @classmethod
    def _generate_shift_maps(cls, shape: Any, alpha: Any, sigma: Any, random_state: Any) -> Any:
        """One filter does it: the noise is from 0 to 1, and to be from -alpha to alpha."""
        if sigma < LEAST_SIGMA or 0 in shape:
            return PLAIN._generate_shift_maps(shape, alpha, sigma, random_state)
        height, width = shape
        size = blur._compute_gaussian_blur_ksize(sigma) | 1
        reach = size // 2
        noise = random_state.random((2 * (height + 2 * size), width + 2 * size))
        used = slice(size - reach, reach - size)
        noise = noise.reshape(2, height + 2 * size, -1)[:, used, used].astype(np.float32)
        kernel = cv2.getGaussianKernel(size, float(sigma), cv2.CV_32F)
        rows = noise.reshape(-1, width + 2 * reach)
        shifts = cv2.sepFilter2D(
            rows, cv2.CV_32F, kernel * np.float32(2 * alpha), kernel, delta=-float(alpha)
        )
        shifts = shifts.reshape(noise.shape)[:, reach : reach + height, reach : reach + width]
        return shifts[0], shifts[1]

    @classmethod
    def _map_coordinates(
        cls, image: Any, dx: Any, dy: Any, order: Any = 1, cval: Any = 0, mode: Any = "constant"
    ) -> Any:
        """OpenCV's cubic interpolation takes longer for bytes than for `float32`."""
        height, width, channels = image.shape
        is_small = image.size > 0 and max(height, width) <= LONGEST_SIDE and channels <= 4
        if image.dtype != np.uint8 or not is_small:
            return PLAIN._map_coordinates(image, dx, dy, order, cval, mode)
        xs = np.arange(width, dtype=np.float32) - dx
        ys = np.arange(height, dtype=np.float32)[:, np.newaxis] - dy
        map1, map2 = cv2.convertMaps(xs, ys, cv2.CV_16SC2, nninterpolation=order == 0)
        pixels: Any = np.ascontiguousarray(image) if order < 2 else image.astype(np.float32)
        looked_up = geometric.cv2.remap(  # which does not hang where OpenCV's does
            pixels,
            map1,
            map2,
            PLAIN._MAPPING_ORDER_SCIPY_CV2[order],
            borderMode=PLAIN._MAPPING_MODE_SCIPY_CV2[mode],
            borderValue=(int(cval),) * 3,
        )
        if order >= 2:
            looked_up = cv2.add(looked_up, 0, dtype=cv2.CV_8U)
        return looked_up[..., np.newaxis] if looked_up.ndim == 2 else looked_up

    def _augment_kpsoi_by_samples(
        self, kpsoi: Any, row_idx: Any, samples: Any, dx: Any, dy: Any
    ) -> Any:
        """A point goes where the shifts take the pixels around it, to their geometric median."""
        height, width = kpsoi.shape[:2]
        inside = [p for p in kpsoi.keypoints if 0 <= p.x < width and 0 <= p.y < height]
        if (
            not inside
            or 0 in kpsoi.shape
            or samples.alphas[row_idx] <= self.KEYPOINT_AUG_ALPHA_THRESH
            or samples.sigmas[row_idx] <= self.KEYPOINT_AUG_SIGMA_THRESH
        ):
            return kpsoi
        around = ia.Keypoint(0, 0).generate_similar_points_manhattan(
            self.NB_NEIGHBOURING_KEYPOINTS, self.NEIGHBOURING_KEYPOINTS_DISTANCE, return_array=True
        )
        places = np.array([(point.x, point.y) for point in inside], np.float32)
        pixels = np.round(places[:, np.newaxis] + around).astype(np.int32)
        counts = ((pixels >= 0) & (pixels < (width, height))).all(axis=-1)
        xs, ys = np.moveaxis(np.clip(pixels, 0, (width - 1, height - 1)), -1, 0)
        moved = pixels + np.stack([dx[ys, xs], dy[ys, xs]], axis=-1)
        medians = _geometric_medians(moved, counts).tolist()
        for point, (x, y) in zip(inside, medians, strict=True):
            point.x, point.y = x, y
        return kpsoi


def _geometric_medians(points: Any, counts: Any) -> Any:
    """imgaug's method for one median, for several (K,N,2); `counts` (K,N) says of which points."""
    counts = counts.astype(float)
    weights = counts
    found: Any = np.inf
    while True:
        last, found = found, (weights[:, np.newaxis] @ points) / weights.sum(1)[:, None, None]
        if np.abs(found - last).max() < STEP:
            return found[:, 0]
        distances = points - found
        distances *= distances
        weights = counts / np.sqrt(np.maximum(distances[..., 0] + distances[..., 1], LEAST_SQUARE))
