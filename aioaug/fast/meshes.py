"""`PiecewiseAffine`: which triangle a pixel lies in is looked up once for each size and grid.

imgaug moves the corners of a regular grid, but triangles are made of the corners as they were. So
the search for the triangle of each pixel gives the same for all pictures of one size. What is done
with the pixels of a triangle is scikit-image's own, with the same pixels in the same order.
Triangles for the way back are not made, because no augmenter uses them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import geometric
from scipy.spatial import Delaunay
from skimage.transform import AffineTransform, PiecewiseAffineTransform

from .._imgaug.views import View
from .replacements import Faster, calling, replaces

MOST_PIXELS = 2**20  # of a picture whose triangles are kept, at a byte a pixel
OUTSIDE = 255


class GridMesh(PiecewiseAffineTransform):  # type: ignore[misc]
    """A transform that goes one way only; imgaug's wants numbers where scikit-image has NaN."""

    def estimate(self, src: Any, dst: Any) -> bool:
        """Prepare the transform; points that lie in a line raise an error, as in imgaug."""
        self._tesselation = Delaunay(src)
        Delaunay(dst)
        self._grid = src.shape, src.tobytes()
        self.affines = [_affine(src[corners], dst[corners]) for corners in self._triangles]
        return True

    @property
    def _triangles(self) -> Any:
        return self._tesselation.simplices

    def __call__(self, coords: Any) -> Any:
        """Where these points of the new picture come from."""
        size = _size_of_picture(coords)
        if size is None or len(self._triangles) >= OUTSIDE:
            return np.nan_to_num(super().__call__(coords), nan=-1.0)
        places = _triangles_of_pixels(self._grid, size)
        out = np.full(coords.shape, -1.0)
        for number, affine in enumerate(self.affines):
            inside = np.flatnonzero(places == number)
            out[inside, :] = affine(coords[inside, :])
        return np.nan_to_num(out, copy=False, nan=-1.0)


def _affine(src: Any, dst: Any) -> Any:
    return AffineTransform.from_estimate(src, dst) or AffineTransform(np.full((3, 3), np.nan))


def _size_of_picture(coords: Any) -> tuple[int, int] | None:
    """Columns and rows if the points are all pixels of a picture, column by column."""
    columns, rows = (int(number) + 1 for number in coords[-1])
    if len(coords) != columns * rows or len(coords) > MOST_PIXELS:
        return None
    xs, ys = coords.T.reshape(2, columns, rows)
    regular = (xs == np.arange(columns)[:, np.newaxis]).all() and (ys == np.arange(rows)).all()
    return (columns, rows) if regular else None


@lru_cache(maxsize=32)
def _triangles_of_pixels(grid: tuple[tuple[int, ...], bytes], size: tuple[int, int]) -> Any:
    shape, points = grid
    mesh = Delaunay(np.frombuffer(points).reshape(shape))
    pixels = np.indices(size).reshape(2, -1).T
    return mesh.find_simplex(pixels.astype(float)).astype(np.uint8)  # outside is -1, so 255


class MovedMesh(Faster):
    _get_transformer = calling(
        iaa.PiecewiseAffine._get_transformer,
        tf=View(geometric.tf, PiecewiseAffineTransform=GridMesh),
    )


if hasattr(AffineTransform, "from_estimate"):  # from scikit-image 0.26 on
    replaces(iaa.PiecewiseAffine)(MovedMesh)
