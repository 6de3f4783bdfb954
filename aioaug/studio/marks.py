"""What is labelled in a picture, as JSON for the page and as maps that lie on the picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._pictures import Array, Picture, encode
from ..data.labels import NamedLabels

_TRANSPARENT = 0.45
_DIGITS = 2
_GOLDEN = 0.618034  # of a turn around the circle of hues: neighbours get colours far apart


def named_labels(label: Any, classes: Sequence[str]) -> Any:
    """Labels that can be drawn, or `None`; a number of a class can only be named."""
    if hasattr(label, "shown") and hasattr(label, "captions"):
        if hasattr(label, "annotations"):
            return NamedLabels(label, tuple(classes))
        return label
    return NamedLabels(label, tuple(classes)) if hasattr(label, "in_pixels") else None


def marks_of(
    label: Any, classes: Sequence[str], shape: tuple[int, ...]
) -> tuple[dict[str, Any], list[bytes]]:
    """What is marked on a picture of this shape: coordinates in its pixels, and PNGs of its maps.

    Each list is one of the kinds of imgaug's items. `captions` are names of classes, and where what
    they name begins.
    """
    if isinstance(label, (int, np.integer)):
        number = int(label)
        known = 0 <= number < len(classes)
        return {"captions": [[classes[number] if known else str(number), 0, 0]]}, []
    named = named_labels(label, classes)
    if named is None:
        return {}, []
    columns = named.shown(shape)
    marks: dict[str, Any] = {
        "captions": [[text, _number(x), _number(y)] for text, x, y in named.captions(shape)]
    }
    if "bounding_boxes" in columns:
        marks["boxes"] = [
            [_number(side) for side in (box.x1, box.y1, box.x2, box.y2)]
            for box in columns["bounding_boxes"].items
        ]
    if "keypoints" in columns:
        marks["points"] = [
            [_number(point.x), _number(point.y)] for point in columns["keypoints"].items
        ]
    for column, name in (("polygons", "polygons"), ("line_strings", "lines")):
        if column in columns:
            marks[name] = [
                [[_number(x), _number(y)] for x, y in item.coords] for item in columns[column].items
            ]
    return marks, _maps(columns)


def _maps(columns: dict[str, Any]) -> list[bytes]:
    maps = []
    if "segmentation_maps" in columns:
        numbers = columns["segmentation_maps"].arr
        # Things may lie on each other, in channels of their own.
        channels = (numbers[:, :, channel] for channel in range(numbers.shape[2]))
        maps += [_coloured(channel) for channel in channels if channel.any()]
    if "heatmaps" in columns:
        maps.append(_heated(columns["heatmaps"].arr_0to1.max(axis=2)))
    return maps


def _coloured(numbers: Array) -> bytes:
    colours = np.array([_colour(number) for number in range(256)], np.uint8)
    alpha = np.where(numbers > 0, round(255 * _TRANSPARENT), 0).astype(np.uint8)
    return encode(Picture(colours[numbers.clip(0) % 256], alpha), ".png", 0)


def _heated(values: Array) -> bytes:
    import cv2

    shades = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    alpha = np.rint(shades * 0.7).astype(np.uint8)
    return encode(Picture(coloured, alpha), ".png", 0)


def _colour(number: int) -> tuple[int, ...]:
    shades = colorsys.hls_to_rgb(number * _GOLDEN % 1, 0.55, 0.85)
    return tuple(round(255 * shade) for shade in shades)


def _number(value: Any) -> float:
    return round(float(value), _DIGITS)
