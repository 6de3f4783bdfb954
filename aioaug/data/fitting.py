"""Pictures to one size, and what is marked on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._base.arguments import one_of, whole
from .._pictures import Array, Size

Shape = tuple[int, ...]
Interpolation = Literal["area", "linear"]


@dataclass(frozen=True, slots=True)
class Fit:
    """How pictures become `resize` (height, width), if that is given, by an `interpolation`.

    Without `pad` they are stretched to that. With `pad`, a grey value or one for each channel, they
    keep their proportions, stand in the middle, and have this around them. Unless `enlarge` is set,
    those that are small enough keep their size, too.
    """

    resize: Size | None = None
    pad: int | tuple[int, int, int] | None = None
    enlarge: bool = True
    interpolation: Interpolation = "area"

    def needed(self, size: Size) -> Size:
        """What height and width a picture of a height and width gets, without what is around it."""
        if self.resize is None:
            return size
        if self.pad is None:
            return self.resize
        scale = min(self.resize[0] / size[0], self.resize[1] / size[1])
        scale = scale if self.enlarge else min(scale, 1.0)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def pixels(self, picture: Array, size: Size) -> Array:
        """The picture in this size; it has the height and width `size`, or comes smaller."""
        if self.resize is None or picture.shape[:2] == self.resize:
            return picture
        import cv2

        height, width = self.needed(size)
        smaller = height <= picture.shape[0] and width <= picture.shape[1]
        # The other one skips pixels when it makes a picture less than half as large.
        by_areas = smaller and self.interpolation == "area"
        how = cv2.INTER_AREA if by_areas else cv2.INTER_LINEAR
        inner: Array = cv2.resize(picture, (width, height), interpolation=how)
        inner = inner.reshape(height, width, picture.shape[2])
        if self.pad is None:
            return inner
        whole = np.empty((*self.resize, picture.shape[2]), picture.dtype)
        whole[:] = self.pad if whole.shape[2] == 3 else np.mean(self.pad)
        top, left = self._corner((height, width))
        whole[top : top + height, left : left + width] = inner
        return whole

    def item(self, item: Any, shape: Shape) -> Any:
        """One of imgaug's objects that belongs to a picture of this shape, moved like its pixels.

        Maps get the size of the picture, if it is resized.
        """
        if self.resize is None or shape[:2] == self.resize:
            return item
        height, width = self.needed((shape[0], shape[1]))
        top, left = self._corner((height, width))
        outer = (*self.resize, *shape[2:])
        if hasattr(item, "pad"):  # a map
            moved = item.resize((height, width)).pad(
                top=top,
                left=left,
                bottom=self.resize[0] - height - top,
                right=self.resize[1] - width - left,
            )
        else:
            moved = item.on((height, width, *shape[2:])).shift(x=left, y=top)
        moved.shape = outer
        return moved

    def _corner(self, size: Size) -> Size:
        """Where the upper left corner of a picture of this size is."""
        height, width = self.resize or size
        return (height - size[0]) // 2, (width - size[1]) // 2


def checked_fit(
    resize: object, pad: object, name: str = "resize", interpolation: str = "area"
) -> Fit:
    """A `Fit` of arguments, `resize` being called `name`; `TypeError` or `ValueError` if wrong."""
    how: Any = one_of("interpolation", interpolation, ("area", "linear"))
    if resize is None:
        if pad is not None:
            raise ValueError("pad: only together with resize=(height, width) or buckets=")
        if how != "area":
            raise ValueError("interpolation: only together with resize=(height, width)")
        return Fit()
    if not isinstance(resize, (tuple, list)) or len(resize) != 2:
        raise TypeError(f"{name} must be (height, width), got {resize!r}")
    height, width = (whole(name, side, low=1) for side in resize)
    if isinstance(pad, (tuple, list)):
        if len(pad) != 3:
            raise ValueError(f"pad must be one value or three, got {pad!r}")
        red, green, blue = (whole("pad", value, low=0, high=255) for value in pad)
        return Fit((height, width), (red, green, blue), interpolation=how)
    value = None if pad is None else whole("pad", pad, low=0, high=255)
    return Fit((height, width), value, interpolation=how)
