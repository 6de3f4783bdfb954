"""Batches loaded and augmented ahead of the program, in the background."""

from __future__ import annotations

from .augmenter import BackgroundAugmenter
from .loader import BatchLoader
from .shelf import LoadedQueue

__all__ = ["BackgroundAugmenter", "BatchLoader", "LoadedQueue"]
