"""`PiecewiseAffine` by OpenCV: one affine map for each triangle, then one lookup of all pixels.

imgaug moves the corners of a regular grid. Triangles are made of the corners as they were, so which
triangle a pixel lies in is known before. The maps are those of scikit-image. OpenCV interpolates
between the same pixels with `float32`, so a value that is nearly halfway between two levels may be
rounded to the other one. Before release 5 it rounds the places of pixels to 1/32; so in photographs
up to 1 % of the values are further off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import geometric
from scipy.ndimage import map_coordinates
from scipy.spatial import Delaunay

from ..._imgaug.views import View
from ..pictures import LONGEST_SIDE
from ..replacements import Faster, calling, replaces

MOST_PIXELS = 2**20  # of a picture whose triangles are kept, at a byte a pixel
A_BYTE = 256
FARTHEST = 99  # pixels; what is so far from all that remains in the picture is lost, as in imgaug
# scikit-image's modes, and SciPy's names of them.
MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "grid-wrap",
}


class Grid:
    """A regular grid of corners over a picture, and its triangles."""

    def __init__(self, columns: int, rows: int, width: float, height: float) -> None:
        self.steps = columns - 1, rows - 1
        self.width, self.height = round(width), round(height)
        xs, ys = np.meshgrid(np.linspace(0, width, columns), np.linspace(0, height, rows))
        corners = np.stack([xs.ravel(), ys.ravel()], axis=-1)
        self.triangles = Delaunay(corners).simplices
        self.sources = corners[self.triangles]
        ones = np.ones((len(self.triangles), 3, 1))
        self._inverses = np.linalg.inv(np.concatenate([self.sources, ones], axis=-1))

    def affines(self, moved: Any) -> Any:
        """The matrices (T,3,2) that take (x, y, 1) to where the corners have moved."""
        return self._inverses @ moved[self.triangles]

    def triangles_of_pixels(self) -> Any:
        """For each pixel the number of its triangle."""
        columns, rows = self.steps
        middles = self.sources.mean(axis=1) * (columns / self.width, rows / self.height)
        cells = middles.astype(int)
        across, down = (middles - cells).T
        falls = np.zeros((rows, columns), bool)  # whether the diagonal does
        falls[cells[:, 1], cells[:, 0]] = np.abs(across - down) > 0.1
        is_second = np.where(np.abs(across - down) > 0.1, across > down, across + down > 1)
        kind = np.uint8 if len(cells) <= A_BYTE else np.uint32
        numbers = np.zeros((rows, columns, 2), kind)
        numbers[cells[:, 1], cells[:, 0], is_second.astype(int)] = np.arange(len(cells))
        column, x = _cells(self.width, columns)
        row, y = _cells(self.height, rows)
        y, row = y[:, np.newaxis], row[:, np.newaxis]
        seconds = np.where(falls[row, column], x > y, x + y > 1)
        return numbers[row, column, seconds.view(np.uint8)]


def _cells(length: int, count: int) -> tuple[Any, Any]:
    """In which of so many cells each pixel of a row is, and how far in it, from 0 to 1."""
    places = np.arange(length) * (count / length)
    cells = places.astype(int)
    return cells, places - cells


@lru_cache(maxsize=256)
def grid_of(columns: int, rows: int, width: float, height: float) -> Grid:
    """The grid, made once."""
    return Grid(columns, rows, width, height)


_kept_triangles = lru_cache(maxsize=32)(Grid.triangles_of_pixels)


class CloseMesh:
    """Where pixels and points go to when the corners of a grid move."""

    def estimate(self, src: Any, dst: Any) -> None:
        """Take the corners (N,2) as they were, and moved; an error if these are in one line."""
        centered = dst - dst.mean(axis=0)
        (xx, xy), (_, yy) = (centered.T @ centered).tolist()
        if xx * yy - xy * xy <= 1e-9 * (xx + yy) ** 2:
            Delaunay(dst)
        self.corners, self.moved = src, dst
        columns = int(np.count_nonzero(src[:, 1] == src[0, 1]))
        self.grid = grid_of(columns, len(src) // columns, *src[-1].tolist())

    @property
    def is_common(self) -> bool:
        """Whether each cell has two triangles, and none became a point.

        What is in such a triangle comes from outside of the picture, in scikit-image.
        """
        grid = self.grid
        columns, rows = grid.steps
        if len(grid.triangles) != 2 * columns * rows:
            return False
        return bool(np.ptp(self.moved[grid.triangles], axis=1).any(axis=-1).all())

    def maps(self) -> tuple[Any, Any]:
        """For each pixel of the new picture x and y of what comes there, as `float32`."""
        grid = self.grid
        is_small = grid.width * grid.height <= MOST_PIXELS
        numbers = _kept_triangles(grid) if is_small else grid.triangles_of_pixels()
        xs_moved, ys_moved = grid.affines(self.moved).astype(np.float32).T
        xs = np.arange(grid.width, dtype=np.float32)
        ys = np.arange(grid.height, dtype=np.float32)[:, np.newaxis]
        return _linear(numbers, xs_moved, xs, ys), _linear(numbers, ys_moved, xs, ys)

    def inverse(self, points: Any) -> Any:
        """Where points (N,2) of the old picture are in the new one.

        Where several triangles lie over each other, the first one counts. A point that is in none
        of them goes to the nearest edge, and to (-1, -1) if that is too far away.
        """
        triangles = self.grid.triangles
        sources, places = self.corners[triangles], self.moved[triangles]
        first, *sides = np.moveaxis(places, 1, 0)
        sides = np.stack(sides, axis=1) - first[:, np.newaxis]
        areas = np.linalg.det(sides)
        weights = np.zeros((len(points), len(triangles), 3))
        proper = areas != 0
        inner = (points[:, np.newaxis, np.newaxis] - first[proper, np.newaxis]) @ np.linalg.inv(
            sides[proper]
        )
        weights[:, proper, 1:] = inner[:, :, 0]
        weights[:, :, 0] = 1 - weights.sum(axis=-1)
        inside = (weights >= 0).all(axis=-1) & proper
        chosen = inside.argmax(axis=1)
        each = np.arange(len(points))
        found = np.einsum("nk,nkc->nc", weights[each, chosen], sources[chosen])
        outside = ~inside.any(axis=1)
        found[outside] = _nearest(points[outside], places, sources)
        return found


def _linear(numbers: Any, factors: Any, xs: Any, ys: Any) -> Any:
    """x and y times the first and second factor (3,T) of each pixel's triangle, plus the third."""
    across, down, shift = (_of_each(numbers, values) for values in factors)
    across *= xs
    down *= ys
    across += down
    across += shift
    return across


def _of_each(numbers: Any, values: Any) -> Any:
    if numbers.dtype != np.uint8:
        return values.take(numbers)
    table = np.zeros(A_BYTE, np.float32)  # OpenCV takes no shorter one
    table[: len(values)] = values
    return cv2.LUT(numbers, table)


def _nearest(points: Any, places: Any, sources: Any) -> Any:
    """What lies nearest to points on the edges of triangles (T,3,2), as a place in `sources`."""
    begins, ends = places.reshape(-1, 2), np.roll(places, -1, axis=1).reshape(-1, 2)
    ways = ends - begins
    lengths = np.maximum((ways**2).sum(axis=-1), np.finfo(float).tiny)
    parts = ((points[:, np.newaxis] - begins) * ways).sum(axis=-1) / lengths
    parts = np.clip(parts, 0, 1)[..., np.newaxis]
    distances = np.linalg.norm(begins + parts * ways - points[:, np.newaxis], axis=-1)
    each, chosen = np.arange(len(points)), distances.argmin(axis=1)
    froms, tos = sources.reshape(-1, 2)[chosen], np.roll(sources, -1, axis=1).reshape(-1, 2)[chosen]
    found = froms + parts[each, chosen] * (tos - froms)
    found[distances[each, chosen] > FARTHEST] = -1
    return found


def warp(image: Any, mesh: CloseMesh, order: Any, **options: Any) -> Any:
    """scikit-image's function of this name, as imgaug calls it for pictures.

    What is to be seen outside of the picture does not matter: nothing comes from there.
    """
    if image.dtype == np.uint8 and order in (0, 1) and _is_common(image, mesh):
        return _remapped(image, mesh, order)
    return _warp_as_imgaug(image, mesh, order, **options)


def warp_map(array: Any, mesh: CloseMesh, order: Any, **options: Any) -> Any:
    """The same for heatmaps and segmentation maps."""
    if array.dtype == np.int32 and order == 0 and _is_common(array, mesh):
        return _remapped(array, mesh, order)
    if array.dtype == np.float32 and _is_common(array, mesh):
        return _interpolated(array, mesh, order, options["mode"], options["cval"])
    return _warp_as_imgaug(array, mesh, order, **options)


def _is_common(image: Any, mesh: CloseMesh) -> bool:
    return mesh.is_common and max(image.shape) <= LONGEST_SIDE and image.shape[2] <= 4


def _warp_as_imgaug(image: Any, mesh: CloseMesh, order: Any, **options: Any) -> Any:
    transform = geometric.tf.PiecewiseAffineTransform()
    transform.estimate(mesh.corners, mesh.moved)
    return geometric.tf.warp(image, transform, order=order, **options)


def _remapped(image: Any, mesh: CloseMesh, order: int) -> Any:
    out = np.empty(image.shape, image.dtype)
    cv2.remap(
        np.ascontiguousarray(image),
        *mesh.maps(),
        cv2.INTER_LINEAR if order else cv2.INTER_NEAREST,
        dst=out,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return out


def _interpolated(image: Any, mesh: CloseMesh, order: Any, mode: Any, cval: Any) -> Any:
    """By splines, in each channel by itself: scikit-image has them across channels, too."""
    out = np.empty_like(image)
    xs, ys = mesh.maps()
    for channel in range(image.shape[2]):
        map_coordinates(image[..., channel], (ys, xs), out[..., channel], order, MODES[mode], cval)
    return np.clip(out, image.min(), image.max(), out=out)


@replaces(iaa.PiecewiseAffine, close=True)
class Remapped(Faster):
    """imgaug's own methods run, but for points, which it looks for in maps of distances."""

    _get_transformer = calling(
        iaa.PiecewiseAffine._get_transformer,
        tf=View(geometric.tf, PiecewiseAffineTransform=CloseMesh),
    )
    _augment_images_by_samples = calling(
        iaa.PiecewiseAffine._augment_images_by_samples, tf=View(geometric.tf, warp=warp)
    )
    _augment_maps_by_samples = calling(
        iaa.PiecewiseAffine._augment_maps_by_samples, tf=View(geometric.tf, warp=warp_map)
    )

    def _augment_keypoints_by_samples(self, kpsois: Any, samples: Any) -> Any:
        """Points outside of the picture stay where they are, as in imgaug."""
        for place, kpsoi in enumerate(kpsois):
            height, width = kpsoi.shape[:2]
            inside = [p for p in kpsoi.keypoints if 0 <= p.x < width and 0 <= p.y < height]
            mesh = self._get_transformer(
                kpsoi.shape,
                kpsoi.shape,
                samples.nb_rows[place],
                samples.nb_cols[place],
                samples.jitter[place],
            )
            if mesh is None or not inside:
                continue
            found = mesh.inverse(np.array([(point.x, point.y) for point in inside], float))
            # The grid ends at the picture's width and height, where points count as outside.
            most = np.nextafter(np.array([width, height], np.float32), 0)
            for point, (x, y) in zip(inside, np.minimum(found, most).tolist(), strict=True):
                point.x, point.y = x, y
        return list(kpsois)
