"""The pictures of a batch that is being augmented."""

from __future__ import annotations

from typing import Any

import numpy as np


def are_bytes(images: Any) -> bool:
    """Whether there are pictures, all of `uint8`, and none without any pixel."""
    if isinstance(images, np.ndarray):
        return images.dtype == np.uint8 and images.size > 0
    return bool(images) and all(image.dtype == np.uint8 and image.size for image in images)


def writable(batch: Any) -> Any:
    """The pictures as arrays that may be written to, in the batch from now on.

    Those of a list may be views, or have other users: imgaug puts new ones in their place.
    """
    images = batch.images
    if isinstance(images, list):
        for place, image in enumerate(images):
            images[place] = np.array(image, order="C")
    elif not images.flags.c_contiguous:
        images = batch.images = np.ascontiguousarray(images)
    return images
