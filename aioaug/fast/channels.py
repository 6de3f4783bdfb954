"""Augmenters that work in some channels, or in those of another color space.

Conversions are OpenCV's, in the picture itself: imgaug copies each picture of a batch before. Hue
and saturation, which imgaug hands to other augmenters as wider numbers, are looked up in tables.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import color, contrast

from .._imgaug.views import View
from .pictures import are_bytes, are_rgb_array, as_it_is, plain
from .replacements import Faster, calling, replaces

LEVELS = np.arange(256, dtype=np.int16)
EVERY_INT16 = np.arange(2**16).astype(np.uint16).view(np.int16)
# imgaug's formulas for hues from 0 to 180 as numbers from 0 to 255, and back.
HUES = (LEVELS.astype(np.float32) / 180.0 * 255.0).astype(np.int16)
DEGREES = ((np.mod(EVERY_INT16, 255).astype(np.float32) / 255.0) * (360 / 2)).astype(np.uint8)

change_colorspace_ = calling(color.change_colorspace_, _normalize_cv2_input_arr_=as_it_is)
_change_colorspaces_ = calling(color.change_colorspaces_, change_colorspace_=change_colorspace_)


def change_into(out: Any, image: Any, to_colorspace: str, from_colorspace: str) -> None:
    """imgaug's function, from a picture of `uint8` of three channels to another one's memory.

    In place, OpenCV would copy the picture first; imgaug's checks take a tenth of the time.
    """
    conversion = color._CSPACE_OPENCV_CONV_VARS.get((from_colorspace, to_colorspace))
    if conversion is None:
        out[...] = change_colorspace_(image, to_colorspace, from_colorspace)
    else:
        cv2.cvtColor(image, conversion, dst=out)


def change_colorspaces_(images: Any, to_colorspaces: Any, from_colorspaces: Any = "RGB") -> Any:
    """imgaug's function; pictures in a list may have other users, and then it copies them."""
    is_array = isinstance(images, np.ndarray) and are_bytes(images)
    function = _change_colorspaces_ if is_array else color.change_colorspaces_
    return function(images, to_colorspaces, from_colorspaces)


@replaces(iaa.WithColorspace)
class InColorspace(Faster):
    _augment_batch_ = calling(
        iaa.WithColorspace._augment_batch_, change_colorspaces_=change_colorspaces_
    )


@replaces(
    iaa.WithBrightnessChannels,
    iaa.MultiplyAndAddToBrightness,
    iaa.MultiplyBrightness,
    iaa.AddToBrightness,
)
class InBrightness(Faster):
    _augment_batch_ = calling(
        iaa.WithBrightnessChannels._augment_batch_, change_colorspaces_=change_colorspaces_
    )


@replaces(
    iaa.WithHueAndSaturation,
    iaa.MultiplyHueAndSaturation,
    iaa.MultiplyHue,
    iaa.MultiplySaturation,
    iaa.RemoveSaturation,
)
class InHueAndSaturation(Faster):
    def _images_to_hsv_(self, images: Any) -> Any:
        if images is None or not are_bytes(images):
            return super()._images_to_hsv_(images)  # type: ignore[misc]
        converted = change_colorspaces_(images, color.CSPACE_HSV, self.from_colorspace)
        parts = [_hue_and_saturation(picture) for picture in converted]
        return np.stack(parts) if isinstance(images, np.ndarray) else parts, converted

    def _hs_to_images_(self, images_hs: Any, images_hsv: Any) -> Any:
        if images_hs is None or not _are_int16(images_hs, images_hsv):
            return super()._hs_to_images_(images_hs, images_hsv)  # type: ignore[misc]
        pairs = zip(images_hs, images_hsv, strict=True)
        joined: Any = [_joined(part, picture) for part, picture in pairs]
        if isinstance(images_hs, np.ndarray):
            joined = np.stack(joined)
        return change_colorspaces_(joined, self.from_colorspace, color.CSPACE_HSV)


def _hue_and_saturation(picture: Any) -> Any:
    hue, saturation, _ = cv2.split(picture)
    return cv2.merge([cv2.LUT(hue, HUES), saturation.astype(np.int16)])


def _joined(part: Any, picture: Any) -> Any:
    """Hue and saturation after the augmentation with the picture's values."""
    hue, saturation = cv2.split(part)
    hue = DEGREES.take(hue.view(np.uint16))
    saturation = np.clip(saturation, 0, 255, out=saturation).astype(np.uint8)
    return cv2.merge([hue, saturation, cv2.extractChannel(picture, 2)])


def _are_int16(parts: Any, pictures: Any) -> bool:
    return len(parts) == len(pictures) and all(
        part.dtype == np.int16 and part.size and part.shape == (*picture.shape[:2], 2)
        for part, picture in zip(parts, pictures, strict=True)
    )


@replaces(iaa.AddToHueAndSaturation, iaa.AddToHue, iaa.AddToSaturation)
class AddedToHueAndSaturation(Faster):
    """imgaug's tables, for one channel after the other."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        images = batch.images
        is_array = are_rgb_array(images)
        if not is_array or self.backend != "cv2":
            return self._as_imgaug(batch, random_state, parents, hooks)
        samples = self._draw_samples(images, random_state)
        # New memory for each picture takes longer than to split it.
        hsv = np.empty(images.shape[1:], np.uint8)
        channels = [np.empty(hsv.shape[:2], np.uint8) for _ in range(3)]
        for image, *amounts in zip(plain(images), *samples, strict=True):
            change_into(hsv, image, color.CSPACE_HSV, self.from_colorspace)
            cv2.split(hsv, channels)
            self._add(channels, amounts)
            cv2.merge(channels, dst=hsv)
            change_into(image, hsv, self.from_colorspace, color.CSPACE_HSV)
        return batch

    def _add(self, channels: Any, amounts: Any) -> None:
        """To hue and saturation, by imgaug's tables."""
        imgaugs = iaa.AddToHueAndSaturation
        if imgaugs._LUT_CACHE is None:
            imgaugs._LUT_CACHE = imgaugs._generate_lut_table()
        for channel, table, amount in zip(channels, imgaugs._LUT_CACHE, amounts, strict=False):
            cv2.LUT(channel, table[255 + int(amount)], dst=channel)


@replaces(contrast._IntensityChannelBasedApplier)
class AppliedToBrightness(Faster):
    """What `CLAHE` and `HistogramEqualization` have for their color spaces."""

    def apply(self, images: Any, random_state: Any, parents: Any, hooks: Any, func: Any) -> Any:
        is_array = are_rgb_array(images)
        function = _apply_in_place if is_array else contrast._IntensityChannelBasedApplier.apply
        return function(self, images, random_state, parents, hooks, func)


_apply_in_place = calling(
    contrast._IntensityChannelBasedApplier.apply,
    color_lib=View(color, change_colorspaces_=_change_colorspaces_),
)


@replaces(iaa.CLAHE)
class EqualizedInLightness(Faster):
    """One picture after the other, in the picture itself."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        space = self.intensity_channel_based_applier
        spaces = space.from_colorspace, space.to_colorspace
        there, back = map(color._CSPACE_OPENCV_CONV_VARS.get, (spaces, spaces[::-1]))
        if not are_rgb_array(batch.images) or there is None or back is None:
            return self._as_imgaug(batch, random_state, parents, hooks)
        channel = space._CHANNEL_MAPPING[space.to_colorspace]
        images = batch.images = plain(batch.images)
        converted = np.empty_like(images[0])
        for image, arguments in zip(images, self._drawn(len(images), random_state), strict=True):
            cv2.cvtColor(image, there, dst=converted)
            if max(arguments["tileGridSize"]) > 1:
                light = cv2.extractChannel(converted, channel)
                cv2.insertChannel(cv2.createCLAHE(**arguments).apply(light), converted, channel)
            cv2.cvtColor(converted, back, dst=image)
        return batch

    def _drawn(self, count: int, random_state: Any) -> list[dict[str, Any]]:
        """OpenCV's arguments for each picture, of which one channel is equalized."""
        work = self.all_channel_clahe
        work.per_channel.draw_samples((count,), random_state=random_state)
        limits = work.clip_limit.draw_samples((count, 1), random_state=random_state)
        sides = work.tile_grid_size_px
        rows = columns = sides[0].draw_samples((count, 1), random_state=random_state)
        if sides[1] is not None:
            columns = sides[1].draw_samples((count, 1), random_state=random_state)
        least = work.tile_grid_size_px_min
        grids = np.maximum(np.concatenate([columns, rows], axis=1), least)
        return [
            {"clipLimit": limit, "tileGridSize": tuple(grid)}
            for limit, grid in zip(limits[:, 0], grids, strict=True)
        ]


@replaces(iaa.WithChannels)
class InChannels(Faster):
    """One channel after the other is copied, to where imgaug's arrays have it in memory."""

    def _reduce_images_to_channels(self, images: Any) -> Any:
        if self.channels is None or not isinstance(images, np.ndarray):
            return super()._reduce_images_to_channels(images)  # type: ignore[misc]
        chosen = np.empty((len(self.channels), *images.shape[:-1]), images.dtype)
        for place, channel in enumerate(self.channels):
            chosen[place] = images[..., channel]
        return np.moveaxis(chosen, 0, -1)

    def _invert_reduce_images_to_channels(self, images_aug: Any, images: Any) -> Any:
        if self.channels is None:
            return images_aug
        for image, augmented in zip(images, images_aug, strict=False):
            if augmented.shape[-1] != len(self.channels):
                image[..., self.channels] = augmented
                continue
            for place, channel in enumerate(self.channels):
                image[..., channel] = augmented[..., place]
        return images
