"""Samples from arrays: what `flow` is given, checked and cut to its subset."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .._pictures import Array
from ..augmenters import batch_forms
from .sample_rows import SampleRows, pick, pick_columns

# As Keras begins these messages.
_SAME_LENGTH = {
    "y": "`x` (images tensor) and `y` (labels)",
    "sample_weight": "`x` (images tensor) and `sample_weight`",
    "x[1]": "All of the arrays in `x`",
}


class ArraySource:
    """Rows of arrays: images, what accompanies them, labels and weights."""

    def __init__(
        self,
        images: Array | None,
        *,
        columns: Any,
        extras: list[Array],
        labels: Array | None,
        weights: Array | None,
    ) -> None:
        self.images = images
        self.columns = columns
        self.extras = extras
        self.labels = labels
        self.weights = weights
        self.class_indices: dict[str, int] = {}
        self.classes: Any = None
        self.filenames: list[Any] = []

    def __len__(self) -> int:
        return len(self._held)

    @property
    def _held(self) -> Any:
        return self.columns.images_unaug if self.images is None else self.images

    def read(self, numbers: list[int]) -> SampleRows:
        """Copies of the rows with these numbers."""
        return SampleRows(
            numbers=numbers,
            images=pick(self.images, numbers),
            columns=pick_columns(self.columns, numbers),
            extras=[extra[numbers] for extra in self.extras],
            targets=pick(self.labels, numbers),
            weights=pick(self.weights, numbers),
        )

    @property
    def filepaths(self) -> list[Any]:
        """Nothing."""
        return []

    @property
    def x(self) -> Any:
        """The images, or the batch that they are part of."""
        return self.columns if self.images is None else self.images

    @property
    def y(self) -> Any:
        """The labels."""
        return self.labels

    @property
    def image_shape(self) -> tuple[int, ...]:
        """That of the first image; batches are only made of images of one shape."""
        return np.shape(self._held[0])


def array_source(
    x: Any,
    y: Any,
    weights: Any,
    split: tuple[float, float] | None,
    channel_axis: int,
    *,
    ignore_class_split: bool,
) -> ArraySource:
    """Images (N,H,W,C), or a pair of them and what accompanies them, or a batch of imgaug.

    Raises `ValueError` for other ranks, for lengths that differ, and, unless `ignore_class_split`
    is set, for a subset that lacks some of the labels.
    """
    columns: Any = x if batch_forms.is_batch(x) else None
    images, extras = (None, []) if columns is not None else _with_extras(x)
    held = images if images is not None else columns.images_unaug
    if held is None:
        raise ValueError("x has no images")
    if images is not None:
        check_images(images, channel_axis, stacklevel=4)
    size = len(held)
    labels = None if y is None else np.asarray(y)
    weights = None if weights is None else np.asarray(weights)
    beside = [("y", labels), ("sample_weight", weights), *(("x[1]", extra) for extra in extras)]
    for name, values in beside:
        if values is not None and len(values) != size:
            raise ValueError(
                f"{_SAME_LENGTH[name]} should have the same length: x has {size} images, but "
                f"{name} has {len(values)} rows"
            )
    source = ArraySource(images, columns=columns, extras=extras, labels=labels, weights=weights)
    return source if split is None else _part(source, split, ignore_class_split)


def _with_extras(x: Any) -> tuple[Array, list[Array]]:
    if not isinstance(x, (tuple, list)):
        return np.asarray(x), []
    if len(x) != 2:
        raise ValueError(f"x must be images, or a pair of images and more data, got {len(x)} items")
    images, more = x
    return np.asarray(images), [np.asarray(e) for e in (more if isinstance(more, list) else [more])]


def check_images(x: Array, channel_axis: int, *, stacklevel: int) -> None:
    """Raise `ValueError` unless `x` has rank 4; warn of channels that pictures do not have."""
    if x.ndim != 4:
        raise ValueError(f"x must have rank 4, got an array of the shape {x.shape}")
    channels = x.shape[channel_axis]
    if channels not in (1, 3, 4):
        warnings.warn(
            f"x has {channels} channels on axis {channel_axis}; images have 1, 3 or 4 (is "
            "data_format right?)",
            stacklevel=stacklevel,
        )


def _part(source: ArraySource, split: tuple[float, float], ignore_class_split: bool) -> ArraySource:
    size = len(source)
    start, stop = int(split[0] * size), int(split[1] * size)
    middle = stop if start == 0 else start
    if not (ignore_class_split or source.labels is None) and not np.array_equal(
        np.unique(source.labels[:middle]), np.unique(source.labels[middle:])
    ):
        raise ValueError(
            "Training and validation subsets have different number of classes after the split, or "
            "different ones: shuffle x and y, or set ignore_class_split if y are no classes"
        )
    here = slice(start, stop)
    return ArraySource(
        None if source.images is None else source.images[here],
        columns=pick_columns(source.columns, range(start, stop)),
        extras=[extra[here] for extra in source.extras],
        labels=None if source.labels is None else source.labels[here],
        weights=None if source.weights is None else source.weights[here],
    )
