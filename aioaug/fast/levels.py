"""Augmenters that need one look at a picture, and then treat each of its values by itself.

Tables are imgaug's and Pillow's: where Pillow blends a picture with one color, it blends the 256
levels here.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import color, pillike
from PIL import Image

from .pictures import are_rgb_array, can_be_changed, plain
from .replacements import Faster, calling, replaces
from .tables import LEVELS, LEVELS_FLOAT32, look_up

MOST_PIXELS = 2**24  # so many are counted exactly in `float32`, as imgaug does
BY_PILLOW = 64 * 64  # smaller pictures of three channels are equalized by Pillow


def _is_common(image: Any) -> bool:
    """Whether values can be looked up in the picture itself."""
    is_usual = image.dtype == np.uint8 and image.ndim == 3 and image.size > 0
    return is_usual and image.shape[2] in (1, 3) and can_be_changed(image)


def equalize_(image: Any) -> Any:
    """imgaug's function; the picture is changed."""
    height, width, channels = image.shape if image.ndim == 3 else (0, 0, 0)
    is_small = channels == 3 and image.size < BY_PILLOW
    if not _is_common(image) or is_small or height * width >= MOST_PIXELS:
        return pillike.equalize_(image)
    pixels = plain(image)
    if channels == 1:
        look_up(image, _equalizing(pixels))
        return image
    planes = np.empty((channels, height, width), np.uint8)
    for plane in cv2.split(pixels, list(planes)):
        look_up(plane, _equalizing(plane))
    cv2.merge(list(planes), dst=pixels)
    return image


def _equalizing(channel: Any) -> Any:
    counts = cv2.calcHist([channel], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    below = counts.cumsum()
    step = int(below[-2]) // 255
    if not step or np.count_nonzero(counts) <= 1:
        return LEVELS.astype(np.uint8)
    below -= counts
    below += step // 2
    below //= step
    return np.minimum(below, 255, out=below).astype(np.uint8)


@replaces(pillike.Equalize)
class EqualizedByTable(Faster):
    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if batch.images is not None:
            for image in batch.images:
                equalized = equalize_(image)
                if equalized is not image:
                    image[...] = equalized
        return batch


class Enhanced(Faster):
    """A blend of the picture with one color."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if batch.images is None:
            return batch
        factors = self._draw_samples(len(batch.images), random_state)
        levels = Image.fromarray(LEVELS.astype(np.uint8)[np.newaxis])
        for image, factor in zip(batch.images, factors, strict=True):
            if _is_common(image):
                shade = Image.new("L", levels.size, self._shade(image))
                look_up(image, np.asarray(Image.blend(shade, levels, factor))[0])
            else:
                image[...] = self.func(image, factor)
        return batch

    @abstractmethod
    def _shade(self, image: Any) -> int:
        """The level of the color."""


@replaces(pillike.EnhanceBrightness)
class BrightenedByTable(Enhanced):
    def _shade(self, image: Any) -> int:
        return 0


@replaces(pillike.EnhanceContrast)
class ContrastedByTable(Enhanced):
    """The color is the mean of what Pillow makes of the picture without colors."""

    def _shade(self, image: Any) -> int:
        gray = image
        if image.shape[2] == 3:
            gray = np.asarray(Image.fromarray(image).convert("L"))
        return int(int(gray.sum(dtype=np.int64)) / (gray.shape[0] * gray.shape[1]) + 0.5)


def change_color_temperatures_(images: Any, kelvins: Any, from_colorspaces: Any = "RGB") -> Any:
    """imgaug's function, by a table for each channel."""
    is_array = are_rgb_array(images)
    if not is_array or from_colorspaces != color.CSPACE_RGB or not 1000 <= kelvins[0] <= 40000:
        return color.change_color_temperatures_(images, kelvins, from_colorspaces)
    table = color._KelvinToRGBTableSingleton.get_instance()
    factors = table.transform_kelvins_to_rgb_multipliers(np.array(kelvins, np.float32))
    for image, of_channels in zip(images, factors, strict=True):
        products = LEVELS_FLOAT32[:, np.newaxis] * of_channels
        look_up(image, np.round(products).astype(np.uint8))
    return images


@replaces(iaa.ChangeColorTemperature)
class TemperatureByTable(Faster):
    _augment_batch_ = calling(
        iaa.ChangeColorTemperature._augment_batch_,
        change_color_temperatures_=change_color_temperatures_,
    )
