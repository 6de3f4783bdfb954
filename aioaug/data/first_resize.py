"""The size to which a pipeline resizes its pictures before it does anything else with them."""

from __future__ import annotations

from typing import Any

from .._pictures import Size
from ..augmenters.kinds import is_imgaug


def first_size(augmenter: Any) -> Size | None:
    """The (height, width) that the first augmenter makes of any picture, whatever it draws.

    `None` if it does not resize, if the size is drawn or depends on that of the picture, if the
    augmenter may be left out, or is of somebody's own class, of which nobody knows what it does.
    """
    first = augmenter
    if not is_imgaug(first):
        return None
    import imgaug.augmenters as iaa

    while _is_exactly(first, iaa.Sequential):
        if not first or first.random_order or not first.activated:
            return None
        first = first[0]
    if not _is_exactly(first, iaa.Resize) or not first.activated or first.size_order != "HW":
        return None
    both = first.size if isinstance(first.size, tuple) else (first.size, first.size)
    sides = [_constant(parameter) for parameter in both]
    height, width = (side if isinstance(side, int) else 0 for side in sides)
    return (height, width) if height and width else None


def _is_exactly(augmenter: Any, kind: type) -> bool:
    """Whether it is of this class of imgaug's, or of our faster form of it."""
    from ..fast.replacements import Faster

    own = type(augmenter)
    return own is kind or (issubclass(own, Faster) and own.__bases__[-1] is kind)


def _constant(parameter: Any) -> Any:
    """The value of a parameter that always has the same one; `None` if it has several."""
    import imgaug.parameters as iap

    if not _is_exactly(parameter, iap.Deterministic):
        return None
    value = parameter.value
    return int(value) if hasattr(value, "__index__") else value
