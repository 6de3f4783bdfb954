"""Batches loaded and augmented ahead of the program, in the background."""

from __future__ import annotations

from .augmenter import BackgroundAugmenter
from .loaded_queue import LoadedQueue
from .loader import BatchLoader

__all__ = ["BackgroundAugmenter", "BatchLoader", "LoadedQueue"]
