"""Buckets: groups of pictures of similar proportions, which make batches together."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from .._base.arguments import whole
from .._pictures import Array, Size
from .fitting import Fit, checked_fit

Buckets = int | Iterable[Size]


class BucketedSizes:
    """Which picture of a dataset is in which bucket, and what its pixels are made to fit.

    Where `buckets` are shapes (height, width), a picture gets the shape that is nearest to its
    proportions, and of several with the same the one that is nearest to its size. Where it is a
    number, the buckets are so many steps of the logarithm of width / height from 1/2 to 2: with 2
    of them, pictures that are upright, and all others.

    `sizes` gives the height and width of each picture, when they are needed first.
    """

    def __init__(self, buckets: Buckets, pad: object, sizes: Callable[[], Array]) -> None:
        self._sizes = sizes
        self._of_picture: Array = np.empty(0, np.int64)
        if isinstance(buckets, Iterable) and not isinstance(buckets, (str, bytes)):
            self._fits: list[Fit] = [checked_fit(shape, pad, name="buckets") for shape in buckets]
            self._pad = None
            if not self._fits:
                raise ValueError("buckets must be shapes (height, width) or a number, got none")
            shapes = np.array([fit.resize for fit in self._fits])
            # Rounded, so that shapes of the same proportions do not differ by a rounding error.
            self._centres = _proportions(shapes).round(6)
            self._areas = np.log(shapes.prod(axis=1))
            return
        count = whole("buckets", buckets, low=2)
        self._fits = []
        self._pad = checked_fit((1, 1), pad).pad
        edges = np.linspace(-np.log(2), np.log(2), count + 1)
        self._edges = edges[1:-1]
        self._centres = (edges[1:] + edges[:-1]) / 2

    def groups(self, at_least: int) -> Array:
        """The number of each picture's bucket.

        A bucket of fewer than `at_least` pictures is joined to the one that is most like it.
        """
        sizes = self._sizes()
        known = sizes.min(axis=1, initial=1) > 0
        # Pictures of unknown size fail when they are read, in whatever bucket they are.
        groups = self._nearest(np.where(known[:, np.newaxis], sizes, 1))
        self._of_picture = _joined(groups, self._centres, at_least)
        return self._of_picture

    def fit(self, numbers: Array) -> Fit:
        """What the pictures of a batch are made to fit, once `groups` is known."""
        if self._fits:
            return self._fits[int(self._of_picture[numbers[0]])]
        if self._pad is None:
            return Fit()
        height, width = self._sizes()[numbers].max(axis=0).clip(1).tolist()
        return Fit((height, width), self._pad, enlarge=False)

    def _nearest(self, sizes: Array) -> Array:
        proportions = _proportions(sizes)
        if not self._fits:
            return np.searchsorted(self._edges, proportions, side="right")
        best = np.zeros(len(sizes), np.int64)
        areas = np.log(sizes.prod(axis=1))
        nearest = np.full((2, len(sizes)), np.inf)
        for number, (centre, area) in enumerate(zip(self._centres, self._areas, strict=True)):
            here = np.abs(proportions - centre), np.abs(areas - area)
            closer = (here[0] < nearest[0]) | ((here[0] == nearest[0]) & (here[1] < nearest[1]))
            best[closer] = number
            nearest = np.where(closer, here, nearest)
        return best


def fit_or_buckets(
    resize: object,
    pad: object,
    buckets: Buckets | None,
    sizes: Callable[[], Array],
    interpolation: str = "area",
) -> Fit | BucketedSizes:
    """What pictures are made to fit; `TypeError` or `ValueError` if the arguments are none."""
    if buckets is None:
        return checked_fit(resize, pad, interpolation=interpolation)
    if resize is not None:
        raise ValueError("buckets: not together with resize; shapes in buckets do the same")
    if interpolation != "area":
        raise ValueError("interpolation: only together with resize=(height, width)")
    return BucketedSizes(buckets, pad, sizes)


def _proportions(sizes: Array) -> Array:
    """The logarithm of width / height."""
    return np.log(sizes[:, 1] / sizes[:, 0])


def _joined(groups: Array, centres: Array, at_least: int) -> Array:
    counts = np.bincount(groups, minlength=len(centres))
    while np.count_nonzero(counts) > 1 and (small := (counts > 0) & (counts < at_least)).any():
        least = int(np.argmin(np.where(small, counts, np.iinfo(np.int64).max)))
        others = (counts > 0) & (np.arange(len(counts)) != least)
        into = int(np.argmin(np.where(others, np.abs(centres - centres[least]), np.inf)))
        groups = np.where(groups == least, into, groups)
        counts[into] += counts[least]
        counts[least] = 0
    return groups
