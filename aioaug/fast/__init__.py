"""imgaug's augmenters in faster forms, which draw the same random numbers.

`exact` copies an augmenter, and each object of imgaug's that has a faster form becomes one.
`accelerate` does the same with forms whose results may differ by a grey level. Nothing else is
touched, neither imgaug's classes nor the augmenter that the user holds.
"""

from __future__ import annotations

from .trees import accelerate, exact

__all__ = ["accelerate", "exact"]
