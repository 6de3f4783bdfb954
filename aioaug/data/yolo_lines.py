"""The lines of YOLO's text files: a class and fractions of the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .annotation import Annotation, Box, Outline, points_of
from .checks import broken, number_in
from .labels import PictureLabels
from .run_lengths import RunLengths

TASKS = ("detect", "segment", "pose", "obb")
_DIGITS = 6
_CORNERS = 8


@dataclass(frozen=True, slots=True)
class YoloLines:
    """Reads and writes the lines of one dataset.

    `task` is "detect", "segment", "pose" or "obb". `keypoints` are how many keypoints a line of
    "pose" has, and how many numbers each has: 3 with the visibility, 2 without. `classes` is how
    many there are, if that is known.
    """

    task: str = "detect"
    keypoints: tuple[int, int] | None = None
    mirrored: tuple[int, ...] = ()
    classes: int | None = None

    def read(self, text: str, where: str) -> tuple[Annotation, ...]:
        """The annotations in a text, in fractions of the picture."""
        return tuple(
            self._annotation(line.split(), f"{where}: line {place}")
            for place, line in enumerate(text.splitlines(), 1)
            if line.strip()
        )

    def write(self, labels: PictureLabels) -> bytes:
        """The text of a picture."""
        relative = labels.in_fractions()
        lines = [
            " ".join([str(each.category), *map(_word, numbers)])
            for each in relative.annotations
            if each.category is not None and (numbers := self._numbers(each, labels.size))
        ]
        return "".join(f"{line}\n" for line in lines).encode()

    def _annotation(self, words: Sequence[str], where: str) -> Annotation:
        kind = number_in(words[0], where, "the class")
        if kind != int(kind) or kind < 0 or (self.classes is not None and kind >= self.classes):
            raise broken(where, f"there is no class {words[0]}, for there are {self.classes}")
        values = [number_in(word, where, "a coordinate") for word in words[1:]]
        category = int(kind)
        if self.task == "pose":
            return replace(self._pose(values, where), category=category)
        if len(values) == 4:
            return Annotation(category=category, box=_box(values, where))
        if len(values) < 6 or len(values) % 2:
            raise broken(where, f"there must be 4 numbers or a polygon, got {len(values)} numbers")
        return Annotation(category=category, polygons=(tuple(values),))

    def _pose(self, values: Sequence[float], where: str) -> Annotation:
        count, width = self.keypoints or (0, 3)
        if len(values) != 4 + count * width:
            raise broken(where, f"kpt_shape wants {4 + count * width} numbers, got {len(values)}")
        rows = [values[at : at + width] for at in range(4, len(values), width)]
        if width == 3 and any(row[2] not in (0, 1, 2) for row in rows):
            raise broken(where, "the visibility of keypoints must be 0, 1 or 2")
        # Without visibility, 0 0 stands for a keypoint that is not labelled.
        keypoints = tuple(
            (row[0], row[1], int(row[2]) if width == 3 else 2 * any(row)) for row in rows
        )
        box = _box(values[:4], where)
        return Annotation(box=box, keypoints=keypoints, mirrored=self.mirrored)

    def _numbers(self, each: Annotation, size: tuple[int, int] | None) -> list[float]:
        """The numbers of a line; none for what the task has no line for."""
        if each.mask is not None and size is not None and self.task in ("segment", "obb"):
            width, height = size
            outlines = outlines_of(each.mask)
            scaled = (
                tuple(value / (width, height)[at % 2] for at, value in enumerate(outline))
                for outline in outlines
            )
            each = replace(each, polygons=tuple(scaled), mask=None)
        if self.task == "obb":
            return _oriented_box(each, size)
        if self.task == "segment" and each.polygons:
            return list(joined(each.polygons))
        if not each.has_area() or (box := each.bounds()) is None:
            return []
        x1, y1, x2, y2 = box
        numbers = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
        if self.task == "pose":
            count, width = self.keypoints or (0, 3)
            missing = [(0.0, 0.0, 0)] * (count - len(each.keypoints))
            numbers += [value for point in (*each.keypoints, *missing) for value in point[:width]]
        return numbers


def task_of(annotations: Iterable[Annotation]) -> str:
    """What lines without keypoints are for: boxes, oriented boxes or polygons."""
    outlines = [part for each in annotations for part in each.polygons]
    if not outlines:
        return "detect"
    return "obb" if all(map(_is_oriented_box, outlines)) else "segment"


def guessed_lines(text: str) -> YoloLines | None:
    """How to read a text of which nothing else is known; `None` if it is not YOLO's."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    try:
        values = [[float(word) for word in row[1:]] for row in rows]
        is_yolo = all(int(row[0]) >= 0 for row in rows)
    except ValueError:
        return None
    if not rows or not is_yolo or min(map(len, values)) < 4:
        return None
    if all(len(row) > 4 and len(row) % 3 == 1 and {*row[6::3]} <= {0, 1, 2} for row in values):
        return YoloLines("pose", ((len(values[0]) - 4) // 3, 3))
    return YoloLines("segment")


def _box(values: Sequence[float], where: str) -> Box:
    x, y, width, height = values
    if width < 0 or height < 0:
        raise broken(where, f"the box has a negative width or height: {width:g} {height:g}")
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _is_oriented_box(outline: Outline) -> bool:
    """Whether a polygon is a parallelogram, which scaling leaves one."""
    if len(outline) != _CORNERS:
        return False
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points_of(outline)
    return abs(ax - bx + cx - dx) < 2e-3 and abs(ay - by + cy - dy) < 2e-3


def _word(value: float) -> str:
    text = f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def joined(polygons: Sequence[Outline]) -> Outline:
    """The parts of one thing as one polygon, joined by lines of no width, as Ultralytics does."""
    whole, *parts = (list(points_of(part)) for part in polygons)
    for part in parts:
        _, here, there = min(
            ((x1 - x2) ** 2 + (y1 - y2) ** 2, at, to)
            for at, (x1, y1) in enumerate(whole)
            for to, (x2, y2) in enumerate(part)
        )
        turned = [*part[there:], *part[: there + 1]]
        whole[here + 1 : here + 1] = [*turned, whole[here]]
    return tuple(number for point in whole for number in point)


def outlines_of(mask: RunLengths) -> tuple[Outline, ...]:
    """The outlines of a mask, within half a pixel; holes are filled."""
    import cv2
    import numpy as np

    # OpenCV goes through the middles of pixels, which are near the edges if they are halved.
    twice = np.kron(mask.pixels().astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(
        tuple(map(float, ((contour.reshape(-1) + 0.5) / 2)))
        for contour in contours
        if len(contour) > 2
    )


def _oriented_box(each: Annotation, size: tuple[int, int] | None) -> list[float]:
    """The corners of the smallest turned box around a polygon, in fractions of the picture."""
    outline: Outline = joined(each.polygons) if each.polygons else ()
    if len(outline) != _CORNERS and outline and size is not None:
        import cv2
        import numpy as np

        points = np.array(outline, np.float32).reshape(-1, 2) * np.array(size, np.float32)
        corners = cv2.boxPoints(cv2.minAreaRect(points)) / np.array(size)
        outline = tuple(map(float, corners.ravel()))
    elif not outline and (box := each.bounds()) is not None:
        x1, y1, x2, y2 = box
        outline = (x1, y1, x2, y1, x2, y2, x1, y2)
    return [min(max(number, 0.0), 1.0) for number in outline]
