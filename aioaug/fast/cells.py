"""Voronoi pictures and superpixels: pixels get the mean color of the cell that they are in.

imgaug asks a tree of points for each pixel, which one is the nearest. Here most points are ruled
out for whole blocks of pixels: the point nearest to some pixel of a block is not farther from the
block's center than the point nearest to the center is, plus what two pixels of the block can be
apart. Where two points are equally near, the tree is asked for the pixel, so the same one is taken.
Means are quotients of whole numbers, which do not depend on the order of the sum.
"""

from __future__ import annotations

import math
from typing import Any

import imgaug.augmenters as iaa
import numpy as np
from imgaug.augmenters import segmentation
from scipy.spatial import cKDTree

from .replacements import Faster, calling, replaces

LARGEST_SIDE = 64
SIDES = 16, 4, 1  # of blocks of pixels; each consists of 4 times 4 of the next ones
DOUBT = 1e-6  # much more than the rounding errors of distances


def segment_voronoi(image: Any, cell_coordinates: Any, replace_mask: Any = None) -> Any:
    """imgaug's function, for pictures that have an axis of channels."""
    if image.size == 0 or len(cell_coordinates) == 0:
        return segmentation.segment_voronoi(image, cell_coordinates, replace_mask)
    height, width, channels = image.shape
    labels = nearest_points(cell_coordinates, height, width)
    pixels = image.reshape(-1, channels)
    colors = mean_colors(pixels, labels, len(cell_coordinates)).astype(np.uint8)
    return _painted(pixels, labels, colors, replace_mask).reshape(image.shape)


def mean_colors(pixels: Any, labels: Any, count: int) -> Any:
    """The mean of the pixels (N,C) of each of so many labels; 0 for a label without any pixel."""
    sums = [np.bincount(labels, values, count) for values in pixels.T]
    counts = np.maximum(np.bincount(labels, minlength=count), 1)
    return np.stack(sums, axis=-1) / counts[:, np.newaxis]


def _painted(pixels: Any, labels: Any, colors: Any, chosen: Any) -> Any:
    """The pixels of the chosen labels in these labels' colors, the others as they are."""
    cells = colors.take(labels, axis=0)
    if chosen is not None and not chosen.all():
        kept = ~chosen[labels]
        cells[kept] = pixels[kept]
    return cells


def nearest_points(points: Any, height: int, width: int) -> Any:
    """The number of the nearest point (N,2) for each pixel of a picture, row by row."""
    tree = cKDTree(points)
    labels = np.empty(height * width, np.intp)
    for top in range(0, height, LARGEST_SIDE):  # at once, it would not fit into the caches
        rows, columns, found, is_doubtful = _nearest_of_candidates(tree.data, top, width)
        inside = (rows < height) & (columns < width)
        places = rows * width + columns
        labels[places[inside]] = found[inside]
        asked = inside & is_doubtful
        centers = np.stack([columns[asked], rows[asked]], axis=-1) + 0.5
        labels[places[asked]] = tree.query(centers)[1]
    return labels


def _nearest_of_candidates(points: Any, top: int, width: int) -> tuple[Any, Any, Any, Any]:
    """The pixels of a row of the largest blocks, as rows and columns in an order of its own.

    Then a nearest point for each, and whether there is another one. A candidate is a point for a
    block. They are in the order of the blocks, and each block has at least one.
    """
    xs, ys = np.ascontiguousarray(points.T)
    lefts = np.arange(0, width, LARGEST_SIDE)
    tops = np.full_like(lefts, top)
    blocks = np.repeat(np.arange(len(lefts)), len(xs))
    found = np.tile(np.arange(len(xs)), len(lefts))
    for side in SIDES:
        steps = np.arange(4)[:, np.newaxis] * side
        across = (xs[found] - lefts[blocks] - steps - side / 2) ** 2
        along = (ys[found] - tops[blocks] - steps - side / 2) ** 2
        distances = (along[:, np.newaxis] + across).reshape(16, -1)
        starts, counts = _runs(blocks)
        nearest = np.sqrt(np.minimum.reduceat(distances, starts, axis=1))
        limits = (nearest * (1 + DOUBT) + DOUBT + math.sqrt(2) * (side - 1)) ** 2
        inner, candidates = np.nonzero(distances <= np.repeat(limits, counts, axis=1))
        blocks = inner * len(lefts) + blocks[candidates]
        found = found[candidates]
        tops = (tops + np.repeat(steps, 4, axis=0)).ravel()
        lefts = (lefts + np.tile(steps, (4, 1))).ravel()
    starts, counts = _runs(blocks)
    return tops, lefts, found[starts], counts > 1


def _runs(numbers: Any) -> tuple[Any, Any]:
    """Where runs of equal numbers start, and how long they are."""
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return starts, np.diff(starts, append=len(numbers))


@replaces(iaa.Voronoi, iaa.UniformVoronoi, iaa.RegularGridVoronoi, iaa.RelativeRegularGridVoronoi)
class CellsByBlocks(Faster):
    _augment_single_image = calling(
        iaa.Voronoi._augment_single_image, segment_voronoi=segment_voronoi
    )


@replaces(iaa.Superpixels)
class SuperpixelsByCounting(Faster):
    """The segments are scikit-image's, as in imgaug, and take most of the time."""

    @classmethod
    def _replace_segments(cls, image: Any, segments: Any, replace_samples: Any) -> Any:
        """Segments are numbered from 0 on, and imgaug expects that no number is left out."""
        pixels, labels = image.reshape(segments.size, -1), segments.ravel()
        counts = np.bincount(labels)
        if image.dtype != np.uint8 or not counts.all():
            return super()._replace_segments(image, segments, replace_samples)  # type: ignore[misc]
        colors = np.rint(mean_colors(pixels, labels, len(counts))).astype(np.uint8)
        chosen = np.resize(replace_samples > 0.5, len(counts))  # if too few are drawn, they repeat
        replaced = np.copy(image)  # which keeps the layout in memory
        replaced[...] = _painted(pixels, labels, colors, chosen).reshape(image.shape)
        return replaced
