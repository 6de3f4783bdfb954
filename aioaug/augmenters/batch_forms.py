"""The forms that a batch may have, and how each becomes an imgaug batch and back.

`Batch` and `UnnormalizedBatch` pass as they are. An array (N,H,W,C) or (N,H,W), a list of
arrays (H,W,C) or (H,W), or a list of one of imgaug's `...OnImage` objects goes in as a column
of its own and comes back in the same form. A class with `__augment__(augment_batch)` does this
itself: it makes an imgaug batch, calls the function with it, and returns a copy with the results.
"""

from __future__ import annotations

import copy
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
