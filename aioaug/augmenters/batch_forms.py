"""The forms that a batch may have, and how each becomes an imgaug batch and back.

`Batch` and `UnnormalizedBatch` pass as they are. An array (N,H,W,C) or (N,H,W), a list of
arrays (H,W,C) or (H,W), or a list of one of imgaug's `...OnImage` objects goes in as a column
of its own and comes back in the same form. A class with `__augment__(augment_batch)` does this
itself: it makes an imgaug batch, calls the function with it, and returns a copy with the results.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from operator import is_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgaug.augmentables.batches import Batch, UnnormalizedBatch

_COLUMNS = {
    "HeatmapsOnImage": "heatmaps",
    "SegmentationMapsOnImage": "segmentation_maps",
    "KeypointsOnImage": "keypoints",
    "BoundingBoxesOnImage": "bounding_boxes",
    "PolygonsOnImage": "polygons",
    "LineStringsOnImage": "line_strings",
}


def is_batch(value: Any) -> bool:
    """Whether `value` is of a class of batches: imgaug's two, and those with `__augment__`."""
    return _knows_how(value) or _is_imgaugs(value)


def check(batch: Any) -> None:
    """Raise `TypeError` or `ValueError` if an imgaug augmenter cannot take `batch`."""
    if _knows_how(batch):
        return
    if _is_imgaugs(batch):
        used = [name for name in _augmented(batch) if getattr(batch, name) is not None]
        if used and type(batch).__name__ == "UnnormalizedBatch":
            raise ValueError(f"the batch was augmented already: {', '.join(used)} is set")
    else:
        _column(batch)


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
        images = getattr(batch, "images_unaug", batch)
        if isinstance(images, list):
            doubt = _doubt_about_image(getattr(images[0], "shape", ())) if images else None
        else:
            doubt = _doubt_about_array(getattr(images, "shape", ()))
        if doubt is not None:
            from imgaug.augmenters.base import SuspiciousMultiImageShapeWarning

            self._warned = True
            warnings.warn(doubt, SuspiciousMultiImageShapeWarning, stacklevel=2)


def augment(batch: Any, augment_batch: Callable[[Any], Any]) -> Any:
    """Run imgaug's `augment_batch_` over a batch of any form; `batch` itself stays as it is."""

    def augmented(columns: Any) -> Any:
        for name in ("images_unaug", "heatmaps_unaug"):
            setattr(columns, name, _native(getattr(columns, name)))
        return augment_batch(columns)

    check(batch)
    if _knows_how(batch):
        return batch.__augment__(augmented)
    if _is_imgaugs(batch):
        return augmented(copy.copy(batch))
    if isinstance(batch, list) and not batch:
        return []
    column = _column(batch)
    return getattr(augmented(_as_batch(column, batch)), f"{column}_aug")


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


def _knows_how(value: Any) -> bool:
    return hasattr(type(value), "__augment__")


def _is_imgaugs(value: Any) -> bool:
    from imgaug.augmentables.batches import Batch, UnnormalizedBatch

    return isinstance(value, (Batch, UnnormalizedBatch))


def _as_batch(column: str, value: Any) -> Batch | UnnormalizedBatch:
    from imgaug.augmentables.batches import UnnormalizedBatch

    return UnnormalizedBatch(**{column: value})


def _native(value: Any) -> Any:
    """The same pixels in the byte order of this machine.

    imgaug, and OpenCV below it, take other ones for native, and then every value is another one.
    """
    if isinstance(value, (list, tuple)):
        items = [_native(item) for item in value]
        return value if all(map(is_, items, value)) else items
    pixels = getattr(value, "arr_0to1", value)  # of a heatmap
    if getattr(getattr(pixels, "dtype", None), "isnative", True):
        return value
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if not hasattr(value, "arr_0to1"):
        return pixels
    heatmap = copy.copy(value)
    heatmap.arr_0to1 = pixels
    return heatmap


def _augmented(batch: Any) -> list[str]:
    return [name for name in vars(batch) if name.endswith("_aug")]


def _column(batch: Any) -> str:
    """The name of the column that `batch` is, e.g. `images` for an array."""
    import numpy as np

    if isinstance(batch, np.ndarray):
        if batch.ndim not in (3, 4):
            raise ValueError(f"an array must be (N,H,W) or (N,H,W,C), got shape {batch.shape}")
        return "images"
    if not isinstance(batch, list):
        raise TypeError(
            "a batch must be an imgaug Batch or UnnormalizedBatch, an array or a list of arrays, "
            f"got {type(batch).__name__}"
        )
    if not batch:
        return "images"
    names = {_member(item, np.ndarray) for item in batch}
    if len(names) > 1:
        raise TypeError(f"a list must hold items of one kind, got {', '.join(sorted(names))}")
    return names.pop()


def _member(item: Any, array: type) -> str:
    if isinstance(item, array):
        return "images"
    for base in type(item).__mro__:
        if base.__name__ in _COLUMNS:
            return _COLUMNS[base.__name__]
    raise TypeError(f"a list must hold images or imgaug's ...OnImage, got {type(item).__name__}")
