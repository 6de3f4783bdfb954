"""Turns by right angles: where a pixel goes to is the same, so its value is the same."""

from __future__ import annotations

from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np

from .._imgaug.views import View
from .replacements import Faster, calling, replaces

TURNS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


def rot90(array: Any, k: int, axes: tuple[int, int]) -> Any:
    """Copies by lines of the cache; a copy of NumPy's view goes across them."""
    turn = TURNS.get(k % 4)
    if turn is None or array.dtype != np.uint8 or not array.size or not 1 < array.shape[-1] <= 4:
        return np.rot90(array, k, axes=axes)
    return cv2.rotate(np.ascontiguousarray(array), turn)


_turned: Any = calling(iaa.Rot90._augment_arrays_by_samples.__func__, np=View(np, rot90=rot90))


@replaces(iaa.Rot90)
class TurnedByOpenCV(Faster):
    """Where the size is not kept, imgaug's result is a list of views, which costs nothing."""

    @classmethod
    def _augment_arrays_by_samples(cls, arrs: Any, ks: Any, keep_size: bool, resize: Any) -> Any:
        function = _turned if keep_size else iaa.Rot90._augment_arrays_by_samples.__func__
        return function(cls, arrs, ks, keep_size, resize)
