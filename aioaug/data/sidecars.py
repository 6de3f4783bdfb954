"""aioaug's own JSON beside a picture, such as `cat.json` beside `cat.jpg`:

    {"keypoints": [[x, y], [x, y, visibility]], "bounding_boxes": [[x1, y1, x2, y2, label]],
     "polygons": [[[x, y], ...]], "line_strings": [[[x, y], ...]],
     "masks": [{"size": [height, width], "counts": ...}]}

Any key may be missing, and the label of a box may be. Masks are COCO's run lengths. Other keys are
copied, so labels may be kept there: order and number of all things stay the same, even if some
leave the picture; then the visibility of a point is 0. Coordinates are those of the picture after
its orientation was applied.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from .._pictures.reading import SUFFIXES
from .checks import (
    any_json,
    below,
    broken,
    is_number,
    label_folder,
    listed,
    read_texts,
    to_json,
)
from .coco import run_lengths
from .labels import Caption
from .moving import array_of, map_of
from .run_lengths import RunLengths
from .samples import PictureDataset, Sample

KEYS = ("keypoints", "bounding_boxes", "polygons", "line_strings", "masks")
_DIGITS = 3

Row = list[Any]


@dataclass(frozen=True)
class Sidecar:
    """What is in such a file; `None` is a key that it does not have."""

    keypoints: list[Row] | None = None
    bounding_boxes: list[Row] | None = None
    polygons: list[list[Row]] | None = None
    line_strings: list[list[Row]] | None = None
    masks: list[RunLengths] | None = None
    others: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    def columns(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """imgaug's objects for a picture of this shape, by the names of its columns."""
        from imgaug.augmentables import (
            BoundingBox,
            BoundingBoxesOnImage,
            Keypoint,
            KeypointsOnImage,
            LineString,
            LineStringsOnImage,
            Polygon,
            PolygonsOnImage,
        )

        columns: dict[str, Any] = {}
        if self.keypoints is not None:
            points = [Keypoint(*row[:2]) for row in self.keypoints]
            columns["keypoints"] = KeypointsOnImage(points, shape)
        if self.bounding_boxes is not None:
            boxes = [BoundingBox(*row[:4]) for row in self.bounding_boxes]
            columns["bounding_boxes"] = BoundingBoxesOnImage(boxes, shape)
        if self.polygons is not None:
            columns["polygons"] = PolygonsOnImage(list(map(Polygon, self.polygons)), shape)
        if self.line_strings is not None:
            lines = list(map(LineString, self.line_strings))
            columns["line_strings"] = LineStringsOnImage(lines, shape)
        if self.masks:
            columns["segmentation_maps"] = map_of(self.masks, shape, self.where)
        return columns

    def moved(self, columns: Mapping[str, Any], shape: tuple[int, ...]) -> Sidecar:
        """The same with the coordinates that an augmenter gave these columns."""
        height, width = shape[:2]
        new: dict[str, Any] = {}
        if self.keypoints is not None:
            new["keypoints"] = [
                _moved_point(row, point.x, point.y, shape)
                for row, point in self._pairs("keypoints", columns)
            ]
        if self.bounding_boxes is not None:
            new["bounding_boxes"] = [
                [*_rounded(box.x1, box.y1, box.x2, box.y2), *row[4:]]
                for row, box in self._pairs("bounding_boxes", columns)
            ]
        for name in ("polygons", "line_strings"):
            if getattr(self, name) is not None:
                pairs = self._pairs(name, columns)
                new[name] = [[_rounded(*xy) for xy in item.coords] for _, item in pairs]
        if self.masks:
            array = array_of(columns["segmentation_maps"], (height, width))
            new["masks"] = [
                RunLengths.from_pixels((array == place).any(axis=2), mask.listed)
                for place, mask in enumerate(self.masks, 1)
            ]
        return replace(self, **new)

    def shown(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The same as they are to be drawn."""
        return self.columns(shape)

    def captions(self, shape: tuple[int, ...]) -> list[Caption]:
        """The labels of the boxes that have one, and where these begin."""
        rows = self.bounding_boxes or []
        return [(str(row[4]), row[0], row[1]) for row in rows if len(row) == 5]

    def encode(self, picture: str = "") -> bytes:
        """The content of a file that `from_json` understands, beside whatever picture."""
        known = {name: getattr(self, name) for name in KEYS if getattr(self, name) is not None}
        if self.masks is not None:
            known["masks"] = [mask.as_json() for mask in self.masks]
        return to_json({**self.others, **known})

    def _pairs(self, name: str, columns: Mapping[str, Any]) -> Iterable[tuple[Row, Any]]:
        """Each row and what an augmenter made of it; a pipeline that drops some is refused."""
        rows, column = getattr(self, name), columns.get(name)
        items = [] if column is None else column.items
        if len(items) != len(rows):
            raise ValueError(f"the pipeline turned {len(rows)} {name} into {len(items)}")
        return zip(rows, items, strict=True)


class Sidecars(PictureDataset):
    """The pictures below a folder, or a URL that fsspec understands, with such a file beside them.

    Raises `UnreadableLabelsError` for broken ones, and `OSError` for a folder that cannot be
    listed.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        top = label_folder(root)
        names = listed(top, (*SUFFIXES, ".json"))
        beside = {name: PurePosixPath(name).with_suffix(".json").as_posix() for name in names}
        there = set(names)
        pictures = [name for name in names if beside[name] != name and beside[name] in there]
        notes = [below(top, beside[name], top.root) for name in pictures]
        samples = []
        for name, file, text in zip(pictures, notes, read_texts(notes), strict=True):
            content = None if text is None else any_json(file, text)
            labels = from_json(content, PurePosixPath(file.name).name)
            if labels is not None:
                samples.append(Sample(below(top, name, top.root), labels))
        if not samples:
            raise broken(top.root, "there are no pictures with labels beside them")
        super().__init__(samples)


def from_json(content: Any, name: str) -> Sidecar | None:
    """The sidecar in the JSON of a file with this name; `None` for other JSON.

    Raises `UnreadableLabelsError` for what is broken.
    """
    if not isinstance(content, dict) or not content.keys() & set(KEYS):
        return None
    known = {key: content[key] for key in KEYS if content.get(key) is not None}
    for key, rows in known.items():
        if not isinstance(rows, list) or not all(map(_CHECKS[key], rows)):
            raise broken(name, f"{key} must be a list of {_WANTED[key]}")
    if "masks" in known:
        known["masks"] = [
            _mask(mask, f"{name}: masks[{place}]") for place, mask in enumerate(known["masks"])
        ]
    others = {key: value for key, value in content.items() if key not in KEYS}
    return Sidecar(**known, others=others, where=name)


def _mask(mask: Mapping[str, Any], where: str) -> RunLengths:
    try:
        height, width = map(int, mask["size"])
        return run_lengths(mask["counts"], (height, width))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise broken(where, f"cannot be read: {error}") from error


def _is_point(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 2 and all(map(is_number, row))


def _is_keypoint(row: Any) -> bool:
    return _is_point(row) or (
        isinstance(row, list) and len(row) == 3 and _is_point(row[:2]) and row[2] in (0, 1, 2)
    )


def _is_box(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) in (4, 5)
        and all(map(is_number, row[:4]))
        and all(isinstance(label, (str, int)) for label in row[4:])
    )


def _is_path(rows: Any) -> bool:
    return isinstance(rows, list) and len(rows) > 1 and all(map(_is_point, rows))


_CHECKS = {
    "keypoints": _is_keypoint,
    "bounding_boxes": _is_box,
    "polygons": lambda rows: _is_path(rows) and len(rows) > 2,
    "line_strings": _is_path,
    "masks": lambda mask: isinstance(mask, dict),
}
_WANTED = {
    "keypoints": "lists of 2 numbers, or of these and a visibility of 0, 1 or 2",
    "bounding_boxes": "lists of 4 numbers, or of these and a label",
    "polygons": "lists of points, three or more in each",
    "line_strings": "lists of points, two or more in each",
    "masks": 'objects such as {"size": [height, width], "counts": ...}',
}


def _moved_point(row: Row, x: float, y: float, shape: Sequence[int]) -> Row:
    new = _rounded(x, y)
    if len(row) == 2:
        return new
    is_inside = 0 <= x <= shape[1] and 0 <= y <= shape[0]
    return [*new, row[2] if is_inside else 0]


def _rounded(*numbers: float) -> list[float]:
    return [round(float(number), _DIGITS) for number in numbers]
