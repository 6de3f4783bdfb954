"""Blurs and the like that are one call of OpenCV's, without the copies around it.

imgaug copies each picture of a batch before OpenCV reads it.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import blur, flip

from .pictures import as_it_is, can_be_changed, plain
from .replacements import Faster, calling, replaces
from .sizes import are_small_array

HORIZONTALLY = 1
MOST_CHANNELS = 4


def _blur_gaussian(image: Any, sigma: Any, eps: float) -> Any:
    """imgaug's `blur_gaussian_`; the common pictures are blurred in place."""
    is_common = image.dtype == np.uint8 and image.size > 0 and image.shape[2] <= MOST_CHANNELS
    if not is_common or not can_be_changed(image):
        return _blur_other(image, sigma=sigma, eps=eps)
    if sigma > eps:
        size = blur._compute_gaussian_blur_ksize(sigma) | 1
        pixels = plain(image)
        cv2.GaussianBlur(
            pixels,
            (size, size),
            sigmaX=sigma,
            sigmaY=sigma,
            dst=pixels,
            borderType=cv2.BORDER_REFLECT_101,
        )
    return image


_blur_other = calling(blur.blur_gaussian_, _normalize_cv2_input_arr_=as_it_is)


@replaces(iaa.GaussianBlur)
class BlurredInPlace(Faster):
    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if batch.images is None:
            return batch
        sigmas = self.sigma.draw_samples((len(batch.images),), random_state=random_state)
        for image, sigma in zip(batch.images, sigmas, strict=True):
            blurred = _blur_gaussian(image, sigma, self.eps)
            if blurred is not image:
                image[...] = blurred
        return batch


@replaces(iaa.AverageBlur)
class AveragedWithoutCopies(Faster):
    _augment_batch_ = calling(iaa.AverageBlur._augment_batch_, _normalize_cv2_input_arr_=as_it_is)


@replaces(iaa.MedianBlur)
class MedianWithoutCopies(Faster):
    _augment_batch_ = calling(iaa.MedianBlur._augment_batch_, _normalize_cv2_input_arr_=as_it_is)


@replaces(iaa.BilateralBlur)
class BilateralWithoutCopies(Faster):
    _augment_batch_ = calling(iaa.BilateralBlur._augment_batch_, _normalize_cv2_input_arr_=as_it_is)


def fliplr(array: Any) -> Any:
    """imgaug's function; it copies twice what is a part of another array."""
    if array.dtype != "uint8" or array.ndim != 3 or not array.size or array.shape[2] > 4:
        return flip.fliplr(array)
    flipped = cv2.flip(as_it_is(array), HORIZONTALLY)
    return flipped if flipped.ndim == 3 else flipped[..., np.newaxis]


@replaces(iaa.Fliplr)
class FlippedInPlace(Faster):
    _flip_others = calling(iaa.Fliplr._augment_batch_, fliplr=fliplr)

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        if not are_small_array(images) or len(batch.columns) > 1:
            return self._flip_others(batch, random_state, parents, hooks)
        drawn = self.p.draw_samples((len(images),), random_state=random_state)
        pictures = plain(images)
        for place in np.flatnonzero(drawn >= 0.5):
            cv2.flip(pictures[place], HORIZONTALLY, dst=pictures[place])
        return batch
