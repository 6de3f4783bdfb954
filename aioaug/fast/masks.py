"""Augmenters that draw a number for each pixel: dropouts, noise, salt and pepper.

imgaug's own methods run, so the draws are the same; what they call for the pixels is replaced.
Where numbers are zeros and ones, they are drawn as `bool`. The bytes are the same, since all is
done with whole numbers, or with the same `float32` operations in the same order. What is not of
`uint8` is left to imgaug.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import arithmetic

from .pictures import can_be_changed, plain
from .replacements import Faster, calling, replaces
from .scratch import scratch

MANY = 2**16  # values at once
FEW = 0.15  # of the pixels; more of them it takes longer to replace one by one than all at once


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
    """Some rows after the others, since what is between would not fit into the caches."""
    if not _is_common(image) or values.dtype.kind not in "fi":
        return arithmetic.add_elementwise(image, values)
    add = _add_floats if values.dtype.kind == "f" and values.shape == image.shape else _add_bytes
    pixels = plain(image)
    height = max(1, MANY // (values.shape[1] * values.shape[2]))
    for top in range(0, len(pixels), height):
        add(pixels[top : top + height], values[top : top + height])
    return image


def _add_floats(pixels: Any, values: Any) -> None:
    """OpenCV's sum of whole numbers, which ends at 0 and at 255."""
    values = np.rint(values)
    np.clip(values, -255, 255, out=values)  # of others, OpenCV might make 0
    cv2.add(pixels, values, dst=pixels, dtype=cv2.CV_8U)


def _add_bytes(pixels: Any, values: Any) -> None:
    """What is above 0 and what is below, by sums that end at 0 and at 255."""
    more, less = _levels_between(values, 0, 255), _levels_between(values, -255, 0)
    cv2.add(pixels, _for_each_channel(more, pixels), dst=pixels)
    cv2.subtract(pixels, _for_each_channel(less, pixels), dst=pixels)


def _levels_between(values: Any, low: int, high: int) -> Any:
    """How far values are from 0, as `uint8` rounded to even, of those between two bounds."""
    values = np.clip(values, low, high)
    if values.dtype in (np.float32, np.float64, np.int32):
        return cv2.convertScaleAbs(values).reshape(values.shape)
    return np.abs(np.rint(values)).astype(np.uint8)


def replace_elementwise_(image: Any, mask: Any, replacements: Any) -> Any:
    """imgaug's order of the replacements is by rows, columns, channels."""
    if not _is_common(image):
        return arithmetic.replace_elementwise_(image, mask, replacements)
    chosen = (mask > 0.5).view(np.uint8)
    levels = _levels(replacements)
    image[_for_each_channel(chosen, image).reshape(image.shape).view(bool)] = levels
    return image


def _levels(replacements: Any) -> Any:
    if replacements.dtype.kind == "f":
        replacements = np.round(replacements)
    return np.clip(replacements, 0, 255).astype(np.uint8)


def _replace_pixels(image: Any, mask: Any, places: Any, replacements: Any) -> Any:
    """Give all channels of a pixel of the mask (H,W,1), one of the places, the same replacement."""
    if not _is_common(image):
        repeated = np.repeat(replacements, image.shape[2])
        return arithmetic.replace_elementwise_(image, mask.astype(np.int32), repeated)
    if len(places) < FEW * mask.size:
        pixels, levels = image.reshape(-1, image.shape[2]), _levels(replacements)
        for channel in range(image.shape[2]):
            pixels[places, channel] = levels
        return image
    noise = np.zeros(mask.shape[:2], np.uint8)
    noise.reshape(-1)[places] = _levels(replacements)
    channels = image.shape[2]
    noise = cv2.merge([noise] * channels) if channels > 1 else noise
    cv2.copyTo(noise, mask.view(np.uint8), dst=plain(image))
    return image


def _is_common(image: Any) -> bool:
    """Whether OpenCV can work in the picture itself."""
    is_bytes = image.dtype == np.uint8 and image.size > 0 and image.shape[2] <= 4
    return is_bytes and can_be_changed(image)


def _for_each_channel(values: Any, image: Any) -> Any:
    """Values of pixels as those of channels, for use at once."""
    channels = image.shape[2]
    if values.shape[2] == channels:
        return values
    return cv2.merge([values[..., 0]] * channels, dst=scratch(image.shape, values.dtype))


@replaces(iaa.MultiplyElementwise, iaa.Dropout, iaa.CoarseDropout)
class MultipliedElementwise(Faster):
    _augment_as_drawn = calling(
        iaa.MultiplyElementwise._augment_batch_, multiply_elementwise=multiply_elementwise
    )

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        if images is None or not getattr(self.mul, "can_draw_mask", False):
            return self._augment_as_drawn(batch, random_state, parents, hooks)
        per_channel = self.per_channel.draw_samples((len(images),), random_state=random_state)
        for place, image in enumerate(images):
            size = (*image.shape[:2], image.shape[2] if per_channel[place] > 0.5 else 1)
            kept = self.mul.draw_mask(size, random_state)
            done = multiply_elementwise(image, kept)
            if done is not image:
                images[place] = done
        return batch


@replaces(
    iaa.AddElementwise,
    iaa.AdditiveGaussianNoise,
    iaa.AdditiveLaplaceNoise,
    iaa.AdditivePoissonNoise,
)
class AddedElementwise(Faster):
    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        if images is None:
            return batch
        per_channel = self.per_channel.draw_samples((len(images),), random_state=random_state)
        for place, image in enumerate(images):
            size = (*image.shape[:2], image.shape[2] if per_channel[place] > 0.5 else 1)
            values = self.value.draw_samples(size, random_state=random_state)
            done = add_elementwise(image, values)
            if done is not image:
                images[place] = done
        return batch


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
    _augment_as_drawn = calling(
        iaa.ReplaceElementwise._augment_batch_, replace_elementwise_=replace_elementwise_
    )

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        if images is None or not getattr(self.mask, "can_draw_mask", False):
            return self._augment_as_drawn(batch, random_state, parents, hooks)
        per_channel = self.per_channel.draw_samples((len(images),), random_state=random_state)
        for place, image in enumerate(images):
            by_channel = per_channel[place] > 0.5
            size = (*image.shape[:2], image.shape[2] if by_channel else 1)
            mask = self.mask.draw_mask(size, random_state)
            places = np.flatnonzero(mask)
            values = self.replacement.draw_samples((len(places),), random_state=random_state)
            if by_channel:
                done = replace_elementwise_(image, mask, values)
            else:
                done = _replace_pixels(image, mask, places, values)
            if done is not image:
                images[place] = done
        return batch
