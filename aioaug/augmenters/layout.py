"""Doubts about images whose axes seem to be others than those that imgaug takes them for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from . import compound


class LayoutCheck:
    """Warns, the first time, of images that look as if their axes meant something else.

    What is called with each batch does not compute anything: it looks at one shape.
    """

    def __init__(self) -> None:
        self._warned = False

    def __call__(self, batch: Any) -> None:
        """Warn as imgaug does if `batch` is an image, or has its channels in front."""
        if self._warned:
            return
        images = _images_of(batch)
        if isinstance(images, list):
            doubt = _doubt_about_image(getattr(images[0], "shape", ())) if images else None
        else:
            doubt = _doubt_about_array(getattr(images, "shape", ()))
        if doubt is not None:
            from imgaug.augmenters.base import SuspiciousMultiImageShapeWarning

            self._warned = True
            warnings.warn(doubt, SuspiciousMultiImageShapeWarning, stacklevel=2)


def _images_of(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return batch.get("images")
    for name in ("images_unaug", "images"):
        if hasattr(batch, name):
            return getattr(batch, name)
    is_row = isinstance(batch, (tuple, list)) and bool(batch) and compound.is_compound(batch)
    return batch[0] if is_row else batch


def _doubt_about_array(shape: tuple[int, ...]) -> str | None:
    """What to say of an array whose shape is read as (N,H,W) or (N,H,W,C), and seems not to be."""
    if len(shape) == 3 and shape[-1] in (1, 3):
        return (
            f"an array of shape {shape} is augmented as {shape[0]} images of shape {shape[1:]}, "
            "but looks like one image (H,W,C); use augment_image for one image, or give a batch "
            "as (N,H,W,C) or (N,H,W)"
        )
    if len(shape) == 4 and _has_channels_in_front(shape[1:]):
        return (
            f"an array of shape {shape} is augmented as images of {shape[-1]} channels, but looks "
            "like (N,C,H,W); give a batch as (N,H,W,C), by numpy.moveaxis(images, 1, -1)"
        )
    return None


def _doubt_about_image(shape: tuple[int, ...]) -> str | None:
    """The same of an image in a list, whose shape is read as (H,W) or (H,W,C)."""
    if len(shape) == 3 and _has_channels_in_front(shape):
        return (
            f"an image of shape {shape} is augmented as one of {shape[-1]} channels, but looks "
            "like (C,H,W); give it as (H,W,C), by numpy.moveaxis(image, 0, -1)"
        )
    return None


def _has_channels_in_front(shape: tuple[int, ...]) -> bool:
    return shape[0] in (1, 3) and shape[1] > 4 and shape[2] > 4
