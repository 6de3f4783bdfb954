"""What a pipeline does with its pictures first, and so which part and size of them it needs."""

from __future__ import annotations

from typing import Any

from .._pictures import Region, Size
from ..augmenters.kinds import is_imgaug
from ..fast.trees import draws_from_its_own


def first_size(augmenter: Any) -> Size | None:
    """The (height, width) that the first augmenter makes of any picture, whatever it draws.

    `None` if it does not resize, if the size is drawn or depends on that of the picture, if the
    augmenter may be left out, or is of somebody's own class, of which nobody knows what it does.
    """
    first = _first(augmenter)
    if first is None:
        return None
    import imgaug.augmenters as iaa

    if not _is_exactly(first, iaa.Resize) or first.size_order != "HW":
        return None
    both = first.size if isinstance(first.size, tuple) else (first.size, first.size)
    sides = [_constant(parameter) for parameter in both]
    height, width = (side if isinstance(side, int) else 0 for side in sides)
    return (height, width) if height and width else None


def first_crop(augmenter: Any) -> Any:
    """The first augmenter, if all that it does with pictures is to crop them to a fixed size.

    `None` in all other cases, and if it is not known what it draws its numbers from.
    """
    first = _first(augmenter)
    if first is None:
        return None
    import imgaug.augmenters as iaa

    kinds = (iaa.CropToFixedSize, iaa.CenterCropToFixedSize)
    # A side of 0 is another thing to imgaug than it says: a pixel is left.
    is_known = any(_is_exactly(first, kind) for kind in kinds) and 0 not in first.size
    return first if is_known and draws_from_its_own(first) else None


class CropsAhead:
    """Where such an augmenter will crop each of the next `count` pictures.

    It draws the same numbers again when it gets the pictures, in which nothing is left to crop.
    What belongs to them it crops as ever, as that has the size of the whole pictures.
    """

    def __init__(self, crop: Any, count: int) -> None:
        from imgaug.augmentables.batches import _BatchInAugmentation

        self._crop = crop
        rows = _BatchInAugmentation(images=[None] * count)
        self._drawn = crop._draw_samples(rows, crop.random_state.copy())

    def region(self, place: int, size: Size) -> Region:
        """The part of a picture of this height and width, the `place`th of them."""
        sizes, xs, ys = self._drawn
        width, height = sizes[place]
        top, right, bottom, left = self._crop._calculate_crop_amounts(
            *size, height, width, ys[place], xs[place]
        )
        if min(top, right, bottom, left) < 0:  # of an offset that is outside of the picture
            return Region(0, size[0], 0, size[1])
        return Region(top, size[0] - bottom, left, size[1] - right)


def _first(augmenter: Any) -> Any:
    """The augmenter of imgaug's that gets every picture first, whatever is drawn."""
    first = augmenter
    if not is_imgaug(first):
        return None
    import imgaug.augmenters as iaa

    while _is_exactly(first, iaa.Sequential):
        if not first or first.random_order or not first.activated:
            return None
        first = first[0]
    return first if first.activated else None


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
