"""Polygons that imgaug 0.4 fails to cut at the edges of a picture."""

from __future__ import annotations

import aioaug  # noqa: F401  # it mends imgaug
import pytest
from imgaug.augmentables import Polygon, PolygonsOnImage

# Cut at x = 0, a part of it is only a line on the edge of the picture.
TOUCHING = [(0, -5), (0, 5), (-5, 5), (-5, 10), (5, 10), (5, 12), (-10, 12), (-10, -5)]
BOW_TIE = [(-10, -10), (30, 30), (30, -10), (-10, 30)]
STAR = [(-5, 4), (15, 4), (-3, 14), (5, -3), (13, 14)]


@pytest.mark.parametrize(
    ("points", "area"),
    [
        (TOUCHING, 10),
        (BOW_TIE, 200),
        ([(0, 0), (10, 0), (10, 10)], 50),
        ([(-5, 5), (5, -5), (5, 15)], 62.5),
        ([(30, 0), (40, 0), (40, 10)], 0),
        ([(20, 0), (40, 0), (40, 10), (20, 10)], 0),
    ],
)
def test_any_polygon_is_cut(points, area):
    parts = Polygon(points, label="a").clip_out_of_image((20, 20))
    assert sum(part.area for part in parts) == pytest.approx(area)
    assert {part.label for part in parts} <= {"a"}
    assert all(0 <= value <= 20 for part in parts for value in part.exterior.flat)
    whole = PolygonsOnImage([Polygon(points)], (20, 20)).clip_out_of_image()
    assert sum(part.area for part in whole) == pytest.approx(area)


def test_a_star_is_cut():
    (*parts,) = Polygon(STAR).clip_out_of_image((10, 10))
    assert parts
    for part in parts:
        assert part.exterior.min() >= 0
        assert part.exterior.max() <= 10


@pytest.mark.parametrize("points", [[], [(1, 1)], [(1, 1), (30, 1)]])
def test_what_is_no_polygon_is_cut_as_before(points):
    assert len(Polygon(points).clip_out_of_image((20, 20))) == bool(points)
