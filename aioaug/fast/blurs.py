"""Blurs and the like that are one call of OpenCV's, without the copies around it.

imgaug copies each picture of a batch before OpenCV reads it.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import blur, flip

from .pictures import as_it_is
from .replacements import Faster, calling, replaces

HORIZONTALLY = 1


@replaces(iaa.GaussianBlur)
class BlurredWithoutCopies(Faster):
    _augment_batch_ = calling(
        iaa.GaussianBlur._augment_batch_,
        blur_gaussian_=calling(blur.blur_gaussian_, _normalize_cv2_input_arr_=as_it_is),
    )


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
class FlippedWithoutCopies(Faster):
    _augment_batch_ = calling(iaa.Fliplr._augment_batch_, fliplr=fliplr)


@replaces(iaa.PerspectiveTransform)
class SeenWithoutCopies(Faster):
    _augment_images_by_samples = calling(
        iaa.PerspectiveTransform._augment_images_by_samples, _normalize_cv2_input_arr_=as_it_is
    )
