"""What is marked on a picture, as JSON and as imgaug's objects."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import _pictures
from ..errors import UnreadablePictureError
from .problems import RequestRefused

Shape = tuple[int, ...]

_COLUMNS = {"boxes": "bounding_boxes", "keypoints": "keypoints", "polygons": "polygons"}
_LABELLED = ("boxes", "polygons")
_KEYS = (*_COLUMNS, *(f"{name}_labels" for name in _LABELLED), "mask")
_UNPROCESSABLE = 422


@dataclass(frozen=True)
class PictureMarks:
    """Boxes, keypoints, polygons and a mask of one picture, checked.

    In JSON, `boxes` are lists of x1, y1, x2, y2, `keypoints` lists of x, y, `polygons` lists of at
    least three x, y, all in pixels, x to the right and y down, from the upper left corner. `mask`
    is a PNG in base64 whose pixels are numbers of classes, of the picture's size. `boxes_labels`
    and `polygons_labels` are lists of anything, one for each; they come back beside those that are
    left after augmenting.
    """

    items: dict[str, list[Any]] = field(default_factory=dict)
    labels: dict[str, list[Any]] = field(default_factory=dict)
    mask: bytes | None = None

    @classmethod
    def of_json(cls, value: Any, most: int) -> PictureMarks:
        """Check what a client sent, at most so many of each; `RequestRefused` if it is wrong."""
        if not isinstance(value, Mapping):
            raise _refused(f"annotations of a picture must be an object, got {_kind(value)}")
        if strange := [key for key in value if key not in _KEYS]:
            raise _refused(f"{strange[0]!r}: annotations are {', '.join(_KEYS)}")
        items: dict[str, list[Any]] = {}
        for name, check in (("boxes", _box), ("keypoints", _point), ("polygons", _polygon)):
            if name in value:
                items[name] = [check(name, each) for each in _list(name, value[name], most)]
        labels: dict[str, list[Any]] = {}
        for name in _LABELLED:
            if f"{name}_labels" in value:
                labels[name] = _list(f"{name}_labels", value[f"{name}_labels"], most)
                if len(labels[name]) != len(items.get(name, ())):
                    raise _refused(f"{name}_labels must be as many as {name}")
        return cls(items, labels, _mask(value["mask"]) if "mask" in value else None)

    def columns(self, shape: Shape) -> dict[str, Any]:
        """imgaug's objects for a picture of this shape, by imgaug's names."""
        from imgaug import augmentables as found

        columns: dict[str, Any] = {}
        # Labels say which one of the client's it is: augmenters may drop some.
        if (boxes := self.items.get("boxes")) is not None:
            made = [found.BoundingBox(*box, label=at) for at, box in enumerate(boxes)]
            columns["bounding_boxes"] = found.BoundingBoxesOnImage(made, shape)
        if (points := self.items.get("keypoints")) is not None:
            columns["keypoints"] = found.KeypointsOnImage.from_xy_array(_array(points), shape)
        if (polygons := self.items.get("polygons")) is not None:
            made = [found.Polygon(_array(each), label=at) for at, each in enumerate(polygons)]
            columns["polygons"] = found.PolygonsOnImage(made, shape)
        if self.mask is not None:
            numbers = _numbers(self.mask, shape)
            columns["segmentation_maps"] = found.SegmentationMapsOnImage(numbers, shape)
        return columns

    def moved(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of these columns, as `columns` made them and an augmenter moved them."""
        told: dict[str, Any] = {}
        for name, column in _COLUMNS.items():
            if column in columns:
                items = columns[column].items
                told[name] = [_plain(name, item) for item in items]
                if name in self.labels:
                    told[f"{name}_labels"] = [self.labels[name][item.label] for item in items]
        if "segmentation_maps" in columns:
            numbers = columns["segmentation_maps"].get_arr()
            plane = numbers[:, :, 0] if numbers.ndim == 3 else numbers
            told["mask"] = base64.b64encode(_pictures.encode_map(plane)).decode()
        return told


def _plain(name: str, item: Any) -> list[Any]:
    if name == "boxes":
        return _rounded((item.x1, item.y1, item.x2, item.y2))
    if name == "keypoints":
        return _rounded((item.x, item.y))
    return [_rounded(point) for point in item.exterior.tolist()]


def _rounded(numbers: Any) -> list[float]:
    return [round(float(number), 4) for number in numbers]


def _array(points: list[Any]) -> Any:
    import numpy as np

    return np.array(points, np.float32).reshape(-1, 2)


def _numbers(mask: bytes, shape: Shape) -> Any:
    """The pixels of a mask; of the palette its indices."""
    try:
        size = _pictures.size_of(mask)
        if size != tuple(shape[:2]):
            raise _refused(f"a mask must have the picture's size {shape[:2]}, got {size}")
        return _pictures.decode_map(mask)
    except UnreadablePictureError as error:
        raise _refused(f"a mask {error}") from None


def _mask(value: Any) -> bytes:
    if not isinstance(value, str):
        raise _refused(f"mask must be a text of base64, got {_kind(value)}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _refused("mask is no base64") from None


def _box(name: str, value: Any) -> list[float]:
    x1, y1, x2, y2 = _numbers_of(name, value, 4)
    if x2 < x1 or y2 < y1:
        raise _refused(f"{name}: a box is x1, y1, x2, y2, with x1 <= x2 and y1 <= y2, got {value}")
    return [x1, y1, x2, y2]


def _point(name: str, value: Any) -> list[float]:
    return _numbers_of(name, value, 2)


def _polygon(name: str, value: Any) -> list[list[float]]:
    if not isinstance(value, list) or len(value) < 3:
        raise _refused(f"{name}: a polygon is a list of at least three points")
    return [_numbers_of(name, point, 2) for point in value]


def _numbers_of(name: str, value: Any, count: int) -> list[float]:
    fine = isinstance(value, list) and len(value) == count
    if not fine or not all(type(each) in (int, float) and abs(each) < 1e6 for each in value):
        raise _refused(f"{name}: each must be a list of {count} numbers below a million")
    if not all(map(math.isfinite, value)):
        raise _refused(f"{name}: numbers must be finite")
    return [float(each) for each in value]


def _list(name: str, value: Any, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise _refused(f"{name} must be a list, got {_kind(value)}")
    if len(value) > most:
        raise _refused(f"{name}: at most {most}, got {len(value)}")
    return value


def _kind(value: Any) -> str:
    return type(value).__name__


def _refused(detail: str) -> RequestRefused:
    return RequestRefused(_UNPROCESSABLE, detail)
