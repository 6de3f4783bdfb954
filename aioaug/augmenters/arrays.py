"""Arrays as augmenters get them, which does not depend on how they came to the worker.

Pickling lays an array in memory anew, in an order that NumPy's version decides, and engines
without processes pickle nothing. Augmenters see the difference: OpenCV refuses some strides, and a
sum of floats depends on the order.
"""

from __future__ import annotations

import copy
from operator import is_
from typing import Any

_PIXELS = ("arr_0to1", "arr")  # of a heatmap, and of a segmentation map


def contiguous(value: Any) -> Any:
    """A batch whose arrays are contiguous, also those in lists, tuples and dicts.

    Arrays in Fortran's order keep it, as they do in `imgaug.multicore.Pool`. What is in a batch
    twice is one object in the result, too.
    """
    return _contiguous(value, {})


def _contiguous(value: Any, done: dict[int, Any]) -> Any:
    import numpy as np

    if type(value) is np.ndarray:
        return done.setdefault(id(value), _laid_out(value))
    if type(value) in (list, tuple):
        items = [_contiguous(item, done) for item in value]
        return value if all(map(is_, items, value)) else type(value)(items)
    if type(value) is dict:
        items = [_contiguous(item, done) for item in value.values()]
        unchanged = all(map(is_, items, value.values()))
        return value if unchanged else dict(zip(value, items, strict=True))
    return value


def for_imgaug(column: Any) -> Any:
    """Images, heatmaps or segmentation maps with contiguous pixels in this machine's byte order.

    imgaug, and OpenCV below it, take other ones for native, and then every value is another one.
    """
    if isinstance(column, (list, tuple)):
        items = [for_imgaug(item) for item in column]
        return column if all(map(is_, items, column)) else items
    name = next((name for name in _PIXELS if hasattr(column, name)), None)
    pixels = column if name is None else getattr(column, name)
    if not hasattr(pixels, "flags") or is_plain(pixels):
        return column
    pixels = _laid_out(pixels)
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if name is None:
        return pixels
    column = copy.copy(column)
    setattr(column, name, pixels)
    return column


def is_plain(array: Any) -> bool:
    """Whether augmenters get this array as it is, and it is in C order."""
    return array.dtype.isnative and _is_in_order(array)


def _is_in_order(array: Any) -> bool:
    stride = array.itemsize
    for size, actual in zip(reversed(array.shape), reversed(array.strides), strict=True):
        # Also where there is only one index: OpenCV reads the stride of such an axis, too.
        if actual != stride:
            return False
        stride *= size or 1
    return True


def _laid_out(array: Any) -> Any:
    import numpy as np

    if _is_in_order(array):
        return array
    if array.flags.c_contiguous:
        return array.reshape(-1).reshape(array.shape)  # new strides, the same memory
    if array.flags.f_contiguous:
        return array if _is_in_order(array.T) else _laid_out(array.T).T
    return np.array(array, order="C")
