"""Draws what belongs to a picture on it: points, boxes, shapes and maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Maps are drawn this strong, so that the picture stays visible below them.
_STRENGTH = 0.4
_GOLD, _RED, _BLUE, _GREEN = (255, 215, 0), (255, 0, 80), (0, 150, 255), (0, 220, 120)


def drawn_on(pixels: np.ndarray[Any, Any], items: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """A copy of a picture, (H,W,3) uint8, with these items drawn on it in a size that fits it.

    `items` are objects of imgaug for one picture, by the names of its columns; what is small is
    drawn above what covers much. Of maps with several channels the first one is drawn.
    """
    point = max(3, max(pixels.shape[:2]) // 60)
    line = max(1, point // 3)
    options: dict[str, dict[str, Any]] = {
        "segmentation_maps": {"alpha": _STRENGTH},
        "heatmaps": {"alpha": _STRENGTH},
        "polygons": {"color": _BLUE, "alpha_face": _STRENGTH / 2},
        "line_strings": {"color": _GREEN, "size": line},
        "bounding_boxes": {"color": _GOLD, "size": line},
        "keypoints": {"color": _RED, "size": point},
    }
    for name, how in options.items():
        if name in items:
            drawn = items[name].draw_on_image(pixels, **how)
            # Of a map there is a picture for each of its channels.
            pixels = drawn[0] if isinstance(drawn, list) else drawn
    return pixels
