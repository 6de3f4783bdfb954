"""imgaug's augmenters in faster forms, which draw the same random numbers.

A pool rewrites its augmenter in the workers: each object of imgaug's that has a faster form becomes
one. Nothing else is touched, neither imgaug's classes nor the augmenter that the user holds. Forms
whose results may differ by a grey level are taken on request.
"""

from __future__ import annotations

from .profiling import AugmenterTime, profile
from .trees import accelerate, exact

__all__ = ["AugmenterTime", "accelerate", "exact", "profile"]
