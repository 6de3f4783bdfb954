"""Folders, arrays and data frames to augmented batches: Keras' generator on worker processes."""

from __future__ import annotations

from ..errors import UnreadablePictureError
from .callbacks import ParallelProcessParams
from .generator import ParallelImageDataGenerator
from .iterator import ImageIterator

__all__ = [
    "ImageIterator",
    "ParallelImageDataGenerator",
    "ParallelProcessParams",
    "UnreadablePictureError",
]
