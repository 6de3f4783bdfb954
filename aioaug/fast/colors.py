"""Colors, blends of two pictures, and JPEG.

Conversions of colors are OpenCV's, as in imgaug, with less around them. Blends round where imgaug
rounds: to `float32` after each step, in the end half to even. JPEG is Pillow's, as in imgaug, in
memory and not through a file.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import arithmetic, blend, color

from .._imgaug.views import View
from .pictures import are_bytes, are_rgb_array, can_be_changed
from .replacements import Faster, calling, replaces

RGB, GRAY = color.CSPACE_RGB, color.CSPACE_GRAY


def change_colorspace_(image: Any, to_colorspace: str, from_colorspace: str = RGB) -> Any:
    """To gray, OpenCV repeats the values in all channels."""
    is_common = image.dtype == np.uint8 and image.size > 0 and image.shape[2] == 3
    if not is_common or to_colorspace != GRAY or from_colorspace != RGB:
        return color.change_colorspace_(image, to_colorspace, from_colorspace)
    gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def blend_alpha(image_fg: Any, image_bg: Any, alpha: Any, eps: float = 0.01) -> Any:
    """For pictures of bytes: OpenCV has no sum of `float32` and bytes that rounds half to even."""
    if not _can_be_blended(image_fg, image_bg, alpha):
        return blend.blend_alpha(image_fg, image_bg, alpha, eps)
    factors = np.array(alpha, np.float64)
    if factors.ndim == 2:
        factors = factors[..., np.newaxis]
    if factors.min() >= 1.0 - eps:
        return np.copy(image_fg)
    if factors.max() <= eps:
        return np.copy(image_bg)
    if not 0 <= factors.item(0) <= 1:
        return blend.blend_alpha(image_fg, image_bg, alpha, eps)  # which refuses it
    factors = factors.astype(np.float32)
    if factors.ndim == 3 and factors.shape != image_fg.shape:
        factors = cv2.merge([factors[..., 0]] * image_fg.shape[2])
    blended = cv2.subtract(image_fg, image_bg, dtype=cv2.CV_32F)
    blended = blended.reshape(image_fg.shape)  # OpenCV drops the axis of a single channel
    np.multiply(blended, factors, out=blended)
    np.add(blended, image_bg, out=blended)
    return np.rint(blended, out=blended).astype(np.uint8)


BLEND = View(blend, blend_alpha=blend_alpha)  # for what calls it as a module's function


def blend_alpha_anew(image_fg: Any, image_bg: Any, alpha: Any, eps: float = 0.01) -> Any:
    """For a foreground made for this: it need not be copied where nothing shines through."""
    if alpha >= 1.0 - eps and image_fg.flags.owndata and image_fg is not image_bg:
        return image_fg
    return blend_alpha(image_fg, image_bg, alpha, eps)


def _can_be_blended(image_fg: Any, image_bg: Any, alpha: Any) -> bool:
    shape = image_fg.shape
    if not image_fg.dtype == image_bg.dtype == np.uint8 or shape != image_bg.shape:
        return False
    if image_fg.size == 0 or len(shape) != 3 or shape[2] > 4:
        return False
    size = np.shape(alpha)
    return size in ((), (1,), shape[:2], shape, (*shape[:2], 1)) and np.size(alpha) > 0


def compress_jpeg(image: Any, compression: int) -> Any:
    """In memory, where imgaug writes a file."""
    from PIL import Image

    quality = jpeg_quality(image, compression)
    if quality is None:
        return arithmetic.compress_jpeg(image, compression)
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.array(Image.open(file, formats=["JPEG"]))


def jpeg_quality(image: Any, compression: int) -> int | None:
    """By imgaug's formula, for the common pictures; else `None`."""
    is_common = image.dtype == np.uint8 and image.size > 0 and image.shape[2] == 3
    if not is_common or not 0 <= compression <= 100:
        return None
    return int(min(max(np.rint(1 + 99 * (1.0 - compression / 101)), 1), 100))


@replaces(iaa.ChangeColorspace, iaa.Grayscale)
class ColorsChanged(Faster):
    _augment_as_drawn = calling(
        iaa.ChangeColorspace._augment_batch_,
        change_colorspace_=change_colorspace_,
        blend=View(blend, blend_alpha=blend_alpha_anew),
    )

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        to_gray = getattr(self.to_colorspace, "value", None) == GRAY and self.from_colorspace == RGB
        if not to_gray or not are_rgb_array(images) or not can_be_changed(images):
            return self._augment_as_drawn(batch, random_state, parents, hooks)
        alphas, _ = self._draw_samples(len(images), random_state)
        gray = np.empty(images.shape[1:3], np.uint8)
        for image, alpha in zip(images, alphas, strict=True):
            if alpha >= 1.0 - self.eps:
                cv2.cvtColor(image, cv2.COLOR_RGB2GRAY, dst=gray)
                cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB, dst=image)
            elif alpha > self.eps:
                image[...] = blend_alpha(change_colorspace_(image, GRAY), image, alpha, self.eps)
        return batch


@replaces(iaa.BlendAlpha)
class Blended(Faster):
    _augment_batch_ = calling(iaa.BlendAlpha._augment_batch_, blend_alpha=blend_alpha)


@replaces(
    iaa.BlendAlphaMask,
    iaa.BlendAlphaElementwise,
    iaa.BlendAlphaSimplexNoise,
    iaa.BlendAlphaFrequencyNoise,
    iaa.BlendAlphaSomeColors,
    iaa.BlendAlphaHorizontalLinearGradient,
    iaa.BlendAlphaVerticalLinearGradient,
    iaa.BlendAlphaRegularGrid,
    iaa.BlendAlphaCheckerboard,
    iaa.BlendAlphaSegMapClassIds,
    iaa.BlendAlphaBoundingBoxes,
)
class BlendedByMask(Faster):
    _augment_batch_ = calling(iaa.BlendAlphaMask._augment_batch_, blend_alpha=blend_alpha)


@replaces(iaa.JpegCompression)
class CompressedInMemory(Faster):
    _augment_batch_ = calling(iaa.JpegCompression._augment_batch_, compress_jpeg=compress_jpeg)


@replaces(iaa.FastSnowyLandscape)
class SnowyByTable(Faster):
    """imgaug's formula, for the 256 levels of lightness; all levels of other channels remain."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if not are_bytes(batch.images) or any(image.shape[2] != 3 for image in batch.images):
            return self._as_imgaug(batch, random_state, parents, hooks)
        samples = self._draw_samples(batch.images, random_state)
        for place, (image, threshold, factor) in enumerate(
            zip(batch.images, *samples, strict=True)
        ):
            levels = np.arange(256.0)
            levels[levels < threshold] *= factor
            table = np.clip(np.round(levels), 0, 255).astype(np.uint8)
            hls = color.change_colorspace_(image, color.CSPACE_HLS, self.from_colorspace)
            channels = list(cv2.split(hls))
            channels[1] = cv2.LUT(channels[1], table)
            batch.images[place] = color.change_colorspace_(
                cv2.merge(channels), self.from_colorspace, color.CSPACE_HLS
            )
        return batch
