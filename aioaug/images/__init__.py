"""Folders, arrays and data frames to augmented batches: Keras' generator on worker processes."""

from __future__ import annotations

from ..errors import UnreadablePictureError
from .generator import ParallelImageDataGenerator
from .iterator import ImageIterator
from .params import ParallelProcessParams

__all__ = [
    "ImageIterator",
    "ParallelImageDataGenerator",
    "ParallelProcessParams",
    "UnreadablePictureError",
]
