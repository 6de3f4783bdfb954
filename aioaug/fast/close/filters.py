"""Pillow's filters whose divisors are neither odd nor a power of two.

How Pillow rounds a half then depends on rounding errors of `float32`, so a value can differ by one
level.
"""

from __future__ import annotations

from imgaug.augmenters import pillike

from ..filters import FilteredByOpenCV
from ..replacements import replaces


@replaces(pillike.FilterDetail, pillike.FilterSmoothMore, close=True)
class FilteredClosely(FilteredByOpenCV):
    """Those that divide by 6 and by 100."""
