"""Augmenters that treat each value of a picture by itself, by tables of 256 levels.

They draw what imgaug draws, in the same order, and fill the tables by imgaug's formulas, with the
same kinds of numbers. A value of a picture can only become what the table has for it, so the bytes
are equal. Pictures of other kinds than `uint8` are left to imgaug.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cv2
import imgaug as ia
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters.arithmetic import invert_
from imgaug.augmenters.meta import estimate_max_number_of_channels

from .pictures import are_bytes, stay_in_place, writable
from .replacements import Faster, replaces

try:  # it looks up ten times as many values a second as OpenCV
    from stringzilla import translate
except ImportError:
    translate = None

LEVELS = np.arange(256)
LEVELS_INT16, LEVELS_FLOAT32 = LEVELS.astype(np.int16), LEVELS.astype(np.float32)
# Levels from 0 to 1, as imgaug's contrasts have.
UNIT = np.linspace(0, 1.0, num=256, dtype=np.float32)
# OpenCV takes an array of so many values for a scalar, beside a number.
LIKE_A_SCALAR = 4


def look_up(image: Any, table: Any) -> None:
    """Replace each value of a picture by what the table (256,) or (256,C) has for it."""
    if table.ndim > 1:
        _look_up_channels(image, table)
        return
    rows = image.reshape(len(image), -1)  # for OpenCV, many channels are too many
    if translate is None:
        cv2.LUT(rows, table, dst=rows)
    else:
        levels: Any = np.ascontiguousarray(table)
        translate(memoryview(rows), memoryview(levels), inplace=True)


def _look_up_channels(image: Any, table: Any) -> None:
    if image.dtype != np.uint8 or table.dtype != np.uint8 or not 1 < image.shape[2] <= 4:
        image[...] = ia.apply_lut(image, table)
        return
    planes = list(np.empty((image.shape[2], *image.shape[:2]), np.uint8))
    cv2.split(image, planes)  # to memory that is there it takes half the time
    for plane, values in zip(planes, np.ascontiguousarray(table.T), strict=True):
        look_up(plane, values)
    image[...] = cv2.merge(planes)


@replaces(iaa.Add)
class AddedByTable(Faster):
    """OpenCV's sum of bytes and a whole number ends at 0 and 255, as imgaug's table does."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if not are_bytes(batch.images):
            return self._as_imgaug(batch, random_state, parents, hooks)
        for image, values in _drawn_values(self, self.value, batch, random_state, _as_int16):
            if len(values) == 1 and image.size > LIKE_A_SCALAR:
                rows, value = image.reshape(len(image), -1), float(values[0])
                # A number below 0 OpenCV adds with more bits, which takes five times as long.
                combine = cv2.subtract if value < 0 else cv2.add
                combine(rows, abs(value), dst=rows)
            else:
                look_up(image, _levels(_beside(LEVELS_INT16, values) + values))
        return batch


@replaces(iaa.Multiply)
class MultipliedByTable(Faster):
    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if not are_bytes(batch.images):
            return self._as_imgaug(batch, random_state, parents, hooks)
        for image, values in _drawn_values(self, self.mul, batch, random_state, np.float32):
            look_up(image, _levels(_beside(LEVELS_FLOAT32, values) * values))
        return batch


def _as_int16(values: Any) -> Any:
    return np.clip(np.round(values), -255, 255).astype(np.int16)


def _drawn_values(
    augmenter: Any, parameter: Any, batch: Any, random_state: Any, converted: Any
) -> Iterator[tuple[Any, Any]]:
    """Each picture with one value drawn for it, or with one for each channel.

    All values of a batch are converted together.
    """
    images = writable(batch)
    size = len(images), estimate_max_number_of_channels(images)
    per_channel = augmenter.per_channel.draw_samples(size[:1], random_state=random_state)
    values = converted(parameter.draw_samples(size, random_state=random_state))
    for place, image in enumerate(images):
        count = image.shape[2] if per_channel[place] > 0.5 else 1
        yield image, values[place, :count]


def _beside(levels: Any, values: Any) -> Any:
    """The levels in a shape that makes one table out of one value, and else one for each value."""
    return levels if len(values) == 1 else levels[:, np.newaxis]


def _levels(table: Any) -> Any:
    """A table of numbers as one of levels; imgaug cuts off what follows the point."""
    return np.clip(table, 0, 255).astype(np.uint8)


@replaces(iaa.Invert, iaa.Solarize, iaa.pillike.Solarize)
class InvertedByTable(Faster):
    """The most common cases need no table: all bits of a value inverted is 255 minus the value."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if not are_bytes(batch.images) or not stay_in_place(batch.images):
            return self._as_imgaug(batch, random_state, parents, hooks)
        images = writable(batch)
        samples = self._draw_samples(batch, random_state)
        for place, image in enumerate(images):
            drawn = samples.p[place, : image.shape[2]]
            by_channel = samples.per_channel[place]
            if not (drawn.any() if by_channel else drawn[0]):
                continue
            arguments = [getattr(samples, name)[place] for name in INVERSION]
            if by_channel and not drawn.all():
                image[..., drawn] = invert_(image[..., drawn], *arguments)
            else:
                _invert(image.reshape(len(image), -1), *arguments)
        return batch


INVERSION = "min_value", "max_value", "threshold", "invert_above_threshold"


def _invert(rows: Any, low: Any, high: Any, threshold: Any, above: Any) -> None:
    if (low or 0) != 0 or high not in (None, 255):
        look_up(rows, invert_(LEVELS.astype(np.uint8), low, high, threshold, above))
    elif threshold is None:
        np.invert(rows, out=rows)
    elif 0 <= threshold < 256 and rows.size > LIKE_A_SCALAR:
        # imgaug cuts tables at a whole number, and from their end if below 0.
        kind = cv2.CMP_GE if above else cv2.CMP_LT
        cv2.bitwise_xor(rows, cv2.compare(rows, int(threshold), kind), dst=rows)
    else:
        look_up(rows, invert_(LEVELS.astype(np.uint8), low, high, threshold, above))


class ContrastByTable(Faster):
    """Tables are filled one by one, as imgaug does.

    NumPy's powers and logarithms may differ in the last bit if they are of arrays of another shape.
    """

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if not are_bytes(batch.images):
            return self._as_imgaug(batch, random_state, parents, hooks)
        images = writable(batch)
        per_channel = self.per_channel.draw_samples((len(images),), random_state=random_state)
        for image, by_channel in zip(images, per_channel > 0.5, strict=True):
            size = (image.shape[2] if by_channel else 1,)
            drawn = [param.draw_samples(size, random_state=random_state) for param in self.params1d]
            numbers = [np.float32(values) for values in drawn]
            if by_channel:
                tables = [_levels(self._table(*values)) for values in zip(*numbers, strict=True)]
                look_up(image, np.stack(tables, axis=-1))
            else:
                look_up(image, _levels(self._table(*numbers)))
        return batch

    @abstractmethod
    def _table(self, *numbers: Any) -> Any:
        """imgaug's table before it is made of levels; numbers are arrays (1,), or scalars."""


@replaces(iaa.GammaContrast)
class GammaByTable(ContrastByTable):
    def _table(self, *numbers: Any) -> Any:
        return UNIT ** numbers[0] * 255


@replaces(iaa.SigmoidContrast)
class SigmoidByTable(ContrastByTable):
    def _table(self, *numbers: Any) -> Any:
        gain, cutoff = numbers
        return 255 * 1 / (1 + np.exp(gain * (cutoff - UNIT)))


@replaces(iaa.LogContrast)
class LogarithmByTable(ContrastByTable):
    def _table(self, *numbers: Any) -> Any:
        return 255 * numbers[0] * np.log2(1 + UNIT)


@replaces(iaa.LinearContrast)
class LineByTable(ContrastByTable):
    def _table(self, *numbers: Any) -> Any:
        return 127 + numbers[0] * (LEVELS_FLOAT32 - 127)


@replaces(
    iaa.UniformColorQuantization,
    iaa.UniformColorQuantizationToNBits,
    iaa.Posterize,
    iaa.pillike.Posterize,
)
class QuantizedByTable(Faster):
    """Tables for a number of levels are imgaug's own."""

    def _augment_batch_(self, batch: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
        if (
            not are_bytes(batch.images)
            or (self.to_colorspace, self.max_size) != (None, None)
            or any(image.shape[2] not in (1, 3) for image in batch.images)
        ):
            return self._as_imgaug(batch, random_state, parents, hooks)
        images = writable(batch)
        counts = self._draw_samples(len(images), random_state)
        kind: Any = type(self)
        for image, count in zip(images, counts, strict=True):
            table, mask = _quantizing(kind, int(count))
            rows = image.reshape(len(image), -1)
            if mask is None:
                look_up(rows, table)
            else:
                np.bitwise_and(rows, mask, out=rows)
        return batch


@lru_cache(maxsize=512)
def _quantizing(kind: Any, count: int) -> tuple[Any, Any]:
    """The table for a number of levels or bits, and the mask that does the same, if there is one.

    imgaug's method gets nothing else from its augmenter; to fill a table it takes as long as to
    use it three times.
    """
    table = kind._quantize(None, LEVELS.astype(np.uint8), count)
    mask = table[255]
    return table, mask if np.array_equal(table, LEVELS & mask) else None
