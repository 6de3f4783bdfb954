"""One labelled thing, whatever the format of its file, and the rules of moving it.

Coordinates are those of imgaug: 0 is the left or upper edge of the first pixel, and the width of a
picture its right edge, so flipping x gives `width - x`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

from .run_lengths import RunLengths

Box: TypeAlias = tuple[float, float, float, float]
Outline: TypeAlias = tuple[float, ...]  # x, y, x, y, ... as COCO has them
LabelledPoint: TypeAlias = tuple[float, float, int]

# A key of `others`: the annotation is what nobody labelled, such as the borders of things.
VOID = "<void>"


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What becomes of labels that an augmenter moved.

    With `clip`, boxes, polygons and lines are cut at the edges of the picture. What keeps less than
    `min_visibility` of its area (or length), or less than `min_pixels` of area, is dropped.
    """

    clip: bool = True
    min_visibility: float = 0.1
    min_pixels: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_visibility <= 1:
            raise ValueError(f"min_visibility must be from 0 to 1, got {self.min_visibility!r}")
        if not 0 <= self.min_pixels < math.inf:
            raise ValueError(f"min_pixels must be 0 or more, got {self.min_pixels!r}")


SOUND_RULES = LabelRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One labelled thing. Whatever a format does not have is empty.

    `category` is the position in the dataset's `classes`, `None` for what has no class. `box` has
    the edges x1, y1, x2, y2. `polygons` are the parts of one thing, `lines` open lines. `keypoints`
    have COCO's visibility: 0 not labelled, 1 hidden, 2 visible. `mirrored` are the positions of its
    keypoints in a mirrored picture, in which a left eye becomes a right one. `others` is what else
    the file says of it.
    """

    category: int | None = None
    box: Box | None = None
    polygons: tuple[Outline, ...] = ()
    mask: RunLengths | None = None
    keypoints: tuple[LabelledPoint, ...] = ()
    lines: tuple[Outline, ...] = ()
    crowd: bool = False
    area: float | None = None
    id: int | str | None = None
    mirrored: tuple[int, ...] = ()
    others: Mapping[str, Any] = field(default_factory=dict)

    def bounds(self) -> Box | None:
        """The box, or else that of the polygons, the mask, the lines or the labelled keypoints."""
        if self.box is not None:
            return self.box
        if self.mask is not None:
            return self.mask.box()
        xy = [number for part in (*self.polygons, *self.lines) for number in part]
        xy = xy or [number for x, y, seen in self.keypoints if seen for number in (x, y)]
        return (min(xy[::2]), min(xy[1::2]), max(xy[::2]), max(xy[1::2])) if xy else None

    def has_area(self) -> bool:
        """Whether it is a box, a polygon or a mask, and not only points or lines."""
        return self.box is not None or bool(self.polygons) or self.mask is not None

    def own_area(self) -> float:
        """The area of the mask, the polygons or the box, whatever the file says."""
        if self.mask is not None:
            return float(self.mask.area())
        if self.polygons:
            return sum(map(area_of, self.polygons))
        return 0.0 if self.box is None else box_area(self.box)


def points_of(outline: Outline) -> Iterator[tuple[float, float]]:
    """The points of an outline."""
    return zip(outline[::2], outline[1::2], strict=True)


def box_area(box: Box) -> float:
    """The area of a box, 0 if it is turned inside out."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def area_of(outline: Outline) -> float:
    """The area of a polygon that does not cross itself."""
    points = list(points_of(outline))
    # Seen from its first point: products of large coordinates would lose digits.
    left, top = points[0] if points else (0.0, 0.0)
    double = sum(
        (x1 - left) * (y2 - top) - (x2 - left) * (y1 - top)
        for (x1, y1), (x2, y2) in pairwise(points)
    )
    return abs(double) / 2
