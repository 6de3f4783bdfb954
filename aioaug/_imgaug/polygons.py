"""Patches for `imgaug.augmentables.polys`."""

from __future__ import annotations

import copy
from typing import Any


def cut_any(module: Any) -> None:
    """Have polygons cut at the edges of a picture that imgaug fails at.

    It fails where a part of the cut is only a point or a line, which lies on an edge of the
    picture, and where the polygon crosses itself.
    """
    clip = module.Polygon.clip_out_of_image

    def clip_out_of_image(self: Any, image: Any) -> Any:
        if len(self.exterior) < 3:
            return clip(self, image)
        polygon = copy.copy(self)
        polygon.to_shapely_polygon = lambda: _Surface(self.to_shapely_polygon())
        return clip(polygon, image)

    module.Polygon.clip_out_of_image = clip_out_of_image


class _Surface:
    """Stands for a polygon of Shapely's in the one call that imgaug makes of it."""

    def __init__(self, polygon: Any) -> None:
        self._polygon = polygon

    def intersection(self, other: Any) -> Any:
        import shapely.geometry
        from shapely.validation import make_valid

        try:
            cut = self._polygon.intersection(other)
        except Exception:  # its class depends on the version of Shapely
            if self._polygon.is_valid:
                raise
            cut = make_valid(self._polygon).intersection(other)
        if cut.geom_type != "GeometryCollection":
            return cut
        parts = [part for part in cut.geoms if part.geom_type in ("Polygon", "MultiPolygon")]
        polygons = [each for part in parts for each in getattr(part, "geoms", [part])]
        return shapely.geometry.MultiPolygon(polygons)
