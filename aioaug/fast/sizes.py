"""Resizing, and cropping and padding to the old size, by OpenCV without copies around it.

imgaug resizes to an array of its own, copies that to a list, and the list to a batch. Here OpenCV
writes to where the result stays.
"""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import size as imgaugs

from .pictures import are_bytes, changeable
from .replacements import Faster, calling, replaces
from .scratch import scratch

MOST_CHANNELS = 4
# imgaug's names and numbers for them.
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    cv2.INTER_NEAREST: cv2.INTER_NEAREST,
    cv2.INTER_LINEAR: cv2.INTER_LINEAR,
    cv2.INTER_CUBIC: cv2.INTER_CUBIC,
    cv2.INTER_AREA: cv2.INTER_AREA,
}


def are_small_array(images: Any) -> bool:
    """Whether there is an array of pictures of bytes, of so few channels that OpenCV takes them."""
    is_array = isinstance(images, np.ndarray) and are_bytes(images)
    return is_array and images.shape[3] <= MOST_CHANNELS


def resize_into(out: Any, image: Any, interpolation: Any = None) -> None:
    """What imgaug's `imresize_single_image` gives, for a picture of bytes (H,W,C), to an array.

    Without an interpolation it is by areas where a side grows, and linear otherwise.
    """
    height, width = out.shape[:2]
    if (height, width) == image.shape[:2]:
        out[...] = image
        return
    if interpolation is None:
        grows = height > image.shape[0] or width > image.shape[1]
        flag = cv2.INTER_AREA if grows else cv2.INTER_LINEAR
    else:
        flag = INTERPOLATIONS[interpolation]
    if 1 in image.shape:  # for an axis of length 1, OpenCV does not take every stride
        image = np.array(image, order="C")
    cv2.resize(image, (width, height), dst=out, interpolation=flag)


@replaces(iaa.Resize)
class ResizedInPlace(Faster):
    def _augment_images_by_samples(self, images: Any, samples: Any) -> Any:
        size = self._common_size(images, *samples[:2])
        if size is None or any(method not in INTERPOLATIONS for method in samples[2]):
            return super()._augment_images_by_samples(images, samples)  # type: ignore[misc]
        resized = np.empty((len(images), *size, images.shape[3]), np.uint8)
        for out, image, method in zip(resized, images, samples[2], strict=True):
            resize_into(out, image, method)
        return resized

    def _common_size(self, images: Any, first: Any, second: Any) -> tuple[int, int] | None:
        """The size of all results, unless imgaug's method is needed."""
        if not are_small_array(images):
            return None
        shape = images.shape[1:]
        sizes = {
            self._compute_height_width(shape, *drawn, self.size_order)
            for drawn in set(zip(first, second, strict=True))
        }
        size = sizes.pop()
        are_numbers = all(isinstance(side, (int, np.integer)) and side > 0 for side in size)
        return size if not sizes and are_numbers else None


def _prevent_zero_size(height: int, width: int, *amounts: Any) -> tuple[Any, ...]:
    """imgaug's function, which computes with NumPy's numbers also where there is nothing to do."""
    top, right, bottom, left = as_plain = tuple(map(int, amounts))
    if top + bottom < height and left + right < width:
        return as_plain
    return imgaugs._crop_prevent_zero_size(height, width, *amounts)  # type: ignore[no-any-return]


@replaces(iaa.CropAndPad, iaa.Crop, iaa.Pad)
class CroppedInPlace(Faster):
    _draw_samples = calling(
        iaa.CropAndPad._draw_samples, _crop_prevent_zero_size=_prevent_zero_size
    )

    def _augment_images_by_samples(self, images: Any, samples: Any) -> Any:
        if not self.keep_size or not are_small_array(images):
            return super()._augment_images_by_samples(images, samples)  # type: ignore[misc]
        images = changeable(images)
        height, width = images.shape[1:3]
        for image, drawn in zip(images, samples, strict=True):
            part = image
            if any(drawn.croppings):
                top, right, bottom, left = drawn.croppings  # which leave a pixel at least
                inside = image[top : height - bottom, left : width - right]
                part = scratch(inside.shape, np.uint8)
                np.copyto(part, inside)
            if any(drawn.paddings):
                top, right, bottom, left = drawn.paddings
                part = imgaugs.pad(
                    part,
                    top=top,
                    right=right,
                    bottom=bottom,
                    left=left,
                    mode=drawn.pad_mode,
                    cval=drawn.pad_cval,
                )
            if part is not image:
                resize_into(image, part)
        return images


@replaces(iaa.CropToFixedSize, iaa.CenterCropToFixedSize)
class CroppedOnce(Faster):
    """Pictures that have their size already, as datasets decode them for this, are not copied."""

    def _augment_images_by_samples(self, images: Any, samples: Any) -> Any:
        sizes, across, down = samples
        return [
            self._cropped(image, *drawn)
            for image, *drawn in zip(images, sizes, across, down, strict=True)
        ]

    def _cropped(self, image: Any, size: Any, x: Any, y: Any) -> Any:
        crops = self._calculate_crop_amounts(*image.shape[:2], size[1], size[0], y, x)
        if not any(crops) and image.flags.c_contiguous:
            return image
        return np.copy(imgaugs._crop_arr_(image, *crops))
