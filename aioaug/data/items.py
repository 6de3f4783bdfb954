"""What workers do for a loader: fetch items of a data set, and make pairs of pictures and labels.

It stands here, and not beside the loader, so that workers need not import PyTorch for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..augmenters.array_format import ArrayFormat, with_images
from .decoding import DataBatch, decode


class Fetch:
    """Fetches items of a data set in a worker, and puts those of a batch together."""

    def __init__(self, dataset: Any, collate: Any = None) -> None:
        self._dataset = dataset
        self._collate = collate

    def __call__(self, numbers: int | list[int]) -> Any:
        if isinstance(numbers, int):
            return self._dataset[numbers]
        fetch = getattr(self._dataset, "__getitems__", None)
        items = [self._dataset[each] for each in numbers] if fetch is None else fetch(numbers)
        return collated(items) if self._collate is None else self._collate(items)


def collated(items: Sequence[Any]) -> Any:
    """Items as one batch: arrays of one shape in an array, numbers in an array, others in a list.

    Tuples, named tuples and dicts are put together part by part.
    """
    first = items[0]
    if isinstance(first, dict):
        return {key: collated([item[key] for item in items]) for key in first}
    if isinstance(first, tuple):
        parts = [collated(part) for part in zip(*items, strict=True)]
        return type(first)._make(parts) if hasattr(first, "_make") else tuple(parts)
    if isinstance(first, (bool, int, float)):
        return np.array(items)
    if hasattr(first, "__array__") and not isinstance(first, str):
        arrays = [np.asarray(item) for item in items]
        return np.stack(arrays) if len({array.shape for array in arrays}) == 1 else arrays
    return list(items)


def as_it_is(batch: Any) -> Any:
    """The augmenter that changes nothing."""
    return _as_pair(decode(batch)) if hasattr(batch, "references") else batch


class Outgoing(NamedTuple):
    """What a worker sends: `(images, labels)` of a `DataBatch`, in the format of the loader."""

    form: ArrayFormat | None

    def __call__(self, batch: Any) -> Any:
        batch = _as_pair(batch)
        return batch if self.form is None else with_images(batch, self.form.images)


def _as_pair(batch: Any) -> Any:
    return (batch.images, batch.labels) if isinstance(batch, DataBatch) else batch
