"""Keypoints and bounding boxes of a picture, in a JSON file beside it.

`cat.json` belongs to `cat.jpg`:

    {"keypoints": [[x, y], ...], "bounding_boxes": [[x1, y1, x2, y2], ...]}

Either key may be missing. Other keys are copied, so labels may be kept there: order and number of
points and boxes stay the same, even if some leave the picture. Coordinates are those of the picture
after its orientation was applied.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._pictures.drawing import drawn_on
from ..errors import UnreadablePictureError

if TYPE_CHECKING:
    import numpy as np
    from imgaug.augmentables import BoundingBoxesOnImage, KeypointsOnImage

_WIDTHS = {"keypoints": 2, "bounding_boxes": 4}
_DIGITS = 3


@dataclass(frozen=True)
class Annotations:
    """Keypoints (x, y) and boxes (x1, y1, x2, y2); `None` is a key that the file does not have."""

    keypoints: list[list[float]] | None = None
    bounding_boxes: list[list[float]] | None = None
    others: dict[str, Any] = field(default_factory=dict)

    def columns(self, shape: tuple[int, ...]) -> dict[str, list[Any]]:
        """imgaug's columns for a batch of one picture of this shape."""
        from imgaug.augmentables import (
            BoundingBox,
            BoundingBoxesOnImage,
            Keypoint,
            KeypointsOnImage,
        )

        columns: dict[str, list[Any]] = {}
        if self.keypoints is not None:
            points = [Keypoint(*xy) for xy in self.keypoints]
            columns["keypoints"] = [KeypointsOnImage(points, shape)]
        if self.bounding_boxes is not None:
            boxes = [BoundingBox(*corners) for corners in self.bounding_boxes]
            columns["bounding_boxes"] = [BoundingBoxesOnImage(boxes, shape)]
        return columns

    def moved(
        self, keypoints: KeypointsOnImage | None, boxes: BoundingBoxesOnImage | None
    ) -> Annotations:
        """The same annotations with the coordinates that an augmenter gave them."""
        new = self
        if keypoints is not None:
            new = replace(new, keypoints=[_rounded(point.x, point.y) for point in keypoints])
        if boxes is not None:
            corners = [_rounded(box.x1, box.y1, box.x2, box.y2) for box in boxes]
            new = replace(new, bounding_boxes=corners)
        return new

    def drawn_on(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A copy of the picture with boxes and points drawn on it, in a size that fits it."""
        columns = self.columns(pixels.shape)
        return drawn_on(pixels, {name: column[0] for name, column in columns.items()})

    def encode(self) -> bytes:
        """The content of a file that `read` understands."""
        known = {name: getattr(self, name) for name in _WIDTHS if getattr(self, name) is not None}
        text = json.dumps({**self.others, **known}, ensure_ascii=False)
        # What UTF-8 cannot hold was an escape in the file that was read, and becomes one again.
        return f"{text}\n".encode(errors="backslashreplace")


def beside(picture: Path) -> Path:
    """Where the annotations of this picture would be."""
    return picture.with_suffix(".json")


def read(path: Path) -> Annotations | None:
    """Read annotations; `None` for other JSON, `UnreadablePictureError` for what is broken."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UnreadablePictureError(f"{path.name} beside it cannot be read: {error}") from error
    if not isinstance(content, dict) or not content.keys() & _WIDTHS.keys():
        return None
    known = {
        name: _numbers(f"{name} in {path.name}", content.pop(name), width)
        for name, width in _WIDTHS.items()
        if content.get(name) is not None
    }
    return Annotations(**known, others=content)


def _numbers(what: str, rows: Any, width: int) -> list[list[float]]:
    if not isinstance(rows, list) or not all(_is_row(row, width) for row in rows):
        raise UnreadablePictureError(f"{what} must be a list of lists of {width} numbers")
    return rows


def _is_row(row: Any, width: int) -> bool:
    return (
        isinstance(row, list)
        and len(row) == width
        and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in row)
    )


def _rounded(*numbers: float) -> list[float]:
    return [round(float(number), _DIGITS) for number in numbers]
