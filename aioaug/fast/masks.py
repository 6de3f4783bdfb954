"""Augmenters that draw a number for each pixel: dropouts, noise, salt and pepper.

imgaug's own methods run, so the draws are the same; what they call for the pixels is replaced. The
bytes are the same, since all is done with whole numbers, or with the same `float32` operations in
the same order. What is not of `uint8` is left to imgaug.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import arithmetic

from .pictures import can_be_changed, plain
from .replacements import Faster, calling, replaces


def multiply_elementwise(image: Any, multipliers: Any) -> Any:
    """For a mask, all bits of a value are kept or none, which is a product with 1 or 0."""
    if not _is_common(image):
        return arithmetic.multiply_elementwise(image, multipliers)
    if multipliers.dtype == bool:
        kept = np.negative(multipliers.view(np.int8)).view(np.uint8)
        pixels = plain(image)
        cv2.bitwise_and(pixels, _for_each_channel(kept, image), dst=pixels)
        return image
    if multipliers.dtype.kind != "f":
        return arithmetic.multiply_elementwise(image, multipliers)
    products = np.multiply(image, multipliers.astype(np.float32, copy=False), dtype=np.float32)
    image[...] = np.clip(products, 0, 255, out=products)
    return image


def add_elementwise(image: Any, values: Any) -> Any:
    """What is above 0 and what is below are added as bytes, by sums that end at 0 and at 255."""
    if not _is_common(image) or values.dtype.kind not in "fi":
        return arithmetic.add_elementwise(image, values)
    if values.dtype.kind == "f":
        values = np.rint(values)
    more = np.clip(values, 0, 255).astype(np.uint8)
    less = np.clip(np.negative(values), 0, 255).astype(np.uint8)
    pixels = plain(image)
    cv2.add(pixels, _for_each_channel(more, image), dst=pixels)
    cv2.subtract(pixels, _for_each_channel(less, image), dst=pixels)
    return image


def replace_elementwise_(image: Any, mask: Any, replacements: Any) -> Any:
    """imgaug's order of the replacements is by rows, columns, channels."""
    if not _is_common(image):
        return arithmetic.replace_elementwise_(image, mask, replacements)
    if replacements.dtype.kind == "f":
        replacements = np.round(replacements)
    chosen = (mask > 0.5).view(np.uint8)
    levels = np.clip(replacements, 0, 255).astype(np.uint8)
    image[_for_each_channel(chosen, image).reshape(image.shape).view(bool)] = levels
    return image


def _is_common(image: Any) -> bool:
    """Whether OpenCV can work in the picture itself."""
    is_bytes = image.dtype == np.uint8 and image.size > 0 and image.shape[2] <= 4
    return is_bytes and can_be_changed(image)


def _for_each_channel(values: Any, image: Any) -> Any:
    channels = image.shape[2]
    return values if values.shape[2] == channels else cv2.merge([values[..., 0]] * channels)


@replaces(iaa.MultiplyElementwise, iaa.Dropout, iaa.CoarseDropout)
class MultipliedElementwise(Faster):
    _augment_batch_ = calling(
        iaa.MultiplyElementwise._augment_batch_, multiply_elementwise=multiply_elementwise
    )


@replaces(
    iaa.AddElementwise,
    iaa.AdditiveGaussianNoise,
    iaa.AdditiveLaplaceNoise,
    iaa.AdditivePoissonNoise,
)
class AddedElementwise(Faster):
    _augment_batch_ = calling(iaa.AddElementwise._augment_batch_, add_elementwise=add_elementwise)


@replaces(
    iaa.ReplaceElementwise,
    iaa.SaltAndPepper,
    iaa.ImpulseNoise,
    iaa.CoarseSaltAndPepper,
    iaa.Salt,
    iaa.CoarseSalt,
    iaa.Pepper,
    iaa.CoarsePepper,
)
class ReplacedElementwise(Faster):
    _augment_batch_ = calling(
        iaa.ReplaceElementwise._augment_batch_, replace_elementwise_=replace_elementwise_
    )
