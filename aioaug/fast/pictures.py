"""The pictures of a batch that is being augmented."""

from __future__ import annotations

from typing import Any

import imgaug as ia
import numpy as np

LONGEST_SIDE = 2**15 - 2  # of a picture, for what OpenCV looks up by places in it


def are_bytes(images: Any) -> bool:
    """Whether there are pictures, all of `uint8`, none without any pixel, and an array contiguous.

    An array of another layout keeps it in imgaug.
    """
    if isinstance(images, np.ndarray):
        return images.dtype == np.uint8 and images.size > 0 and images.flags.c_contiguous
    return bool(images) and all(image.dtype == np.uint8 and image.size for image in images)


def are_rgb_array(images: Any) -> bool:
    """Whether there is an array of pictures of `uint8` with three channels, as in `are_bytes`."""
    return isinstance(images, np.ndarray) and are_bytes(images) and images.shape[3] == 3


def stay_in_place(images: Any) -> bool:
    """Whether pictures are such that imgaug's augmenters, working in place, leave what ours do.

    What comes later may depend on it: `ChangeColorspace` works in the picture itself if that owns
    its memory and is contiguous, and then it cannot blend with what was there before.
    """
    if isinstance(images, np.ndarray):
        return True
    return all(image.flags.c_contiguous and image.flags.owndata for image in images)


def writable(batch: Any) -> Any:
    """The pictures as arrays that may be written to, in the batch from now on.

    Those of a list may be views, or have other users: imgaug puts new ones in their place.
    """
    images = batch.images
    if isinstance(images, list):
        for place, image in enumerate(images):
            images[place] = np.array(image, order="C")
    else:
        images = batch.images = plain(images)
    return images


def plain(array: Any) -> Any:
    """The same memory with the usual strides.

    For an axis of length 1, NumPy takes any stride for contiguous, and OpenCV does not. Such arrays
    come from `images[..., [0]]`, for example in `WithChannels`.
    """
    return array.reshape(-1).reshape(array.shape)


def changeable(images: Any) -> Any:
    """The pictures of an array for results in their places, or a copy if they are read-only.

    It is for augmenters that make new pictures in imgaug, and so take those that are read-only.
    """
    return plain(images) if images.flags.writeable else images.copy()


def can_be_changed(array: Any) -> bool:
    """Whether OpenCV and tables can work in an array itself."""
    return bool(array.flags.c_contiguous and array.flags.writeable)


def as_it_is(array: Any) -> Any:
    """An array for OpenCV to read, where imgaug copies each that is a part of another one."""
    if can_be_changed(array):
        return plain(array)
    return ia.imgaug._normalize_cv2_input_arr_(array)


def bounded(height: int, width: int, largest: int, least: int) -> tuple[int, int]:
    """The size in which noise is drawn, rounded as by imgaug.

    Its longer side is at most `largest`, and no side is less than `least`.
    """
    if max(height, width) > largest:
        scale = largest / max(height, width)
        height, width = int(height * scale), int(width * scale)
    return max(height, least), max(width, least)


def enlarged(noise: Any, size: tuple[int, int], method: Any) -> Any:
    """Noise from 0 to 1 in this size: 256 levels of it, `uint8`, as imgaug enlarges it."""
    levels = (noise * 255).astype(np.uint8)
    return ia.imresize_single_image(levels, size, interpolation=method)
