"""Some samples of a source on their way through a worker, and the batch that becomes of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .._pictures import Array
from .normalization import Normalization


@dataclass(slots=True, kw_only=True)
class SampleRows:
    """What crosses to a worker of some samples: their numbers and names, or their pixels.

    `extras`, `targets` and `weights` only pass through, so that they stay with their images.
    """

    numbers: list[int]
    files: list[Any] | None = None  # names in the directory; tuples of names for several images
    classes: list[Any] | None = None
    images: Array | None = None
    columns: Any = None  # a batch of imgaug
    extras: list[Array] = field(default_factory=list)
    targets: Any = None
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def only(self, kept: Sequence[int]) -> SampleRows:
        """The rows at these places."""
        return SampleRows(
            numbers=[self.numbers[place] for place in kept],
            files=pick(self.files, kept),
            classes=pick(self.classes, kept),
            images=pick(self.images, kept),
            columns=pick_columns(self.columns, kept),
            extras=[extra[list(kept)] for extra in self.extras],
            targets=pick_targets(self.targets, kept),
            weights=pick(self.weights, kept),
        )


class BatchJob(NamedTuple):
    """One batch to be made: everything random in it follows from `seed`, `epoch` and position."""

    seed: int
    epoch: int
    batch: int
    first: int  # the position in the epoch of the first sample
    rows: SampleRows
    normalization: Normalization | None  # if it is another than the workers started with


class MadeBatch(NamedTuple):
    """A batch that was made, what was left out of it, by name and reason, and what is in it."""

    batch: Any
    size: int
    skipped: list[tuple[str, str]]
    epoch: int
    numbers: list[int]  # of the samples


def pick(values: Any, places: Sequence[int]) -> Any:
    """The items of a list or an array at `places`; `None` stays `None`."""
    if values is None or isinstance(values, np.ndarray):
        return None if values is None else values[list(places)]
    return [values[place] for place in places]


def pick_targets(targets: Any, places: Sequence[int]) -> Any:
    """Like `pick`; a list is one of several outputs."""
    if isinstance(targets, list):
        return [pick(output, places) for output in targets]
    return pick(targets, places)


def pick_columns(batch: Any, places: Sequence[int]) -> Any:
    """The rows of one of imgaug's batches at `places`, every column of it."""
    if batch is None:
        return None
    picked = copy.copy(batch)
    for name, value in vars(batch).items():
        if name.endswith(("_unaug", "_aug")):
            setattr(picked, name, pick(value, places))
        elif name == "data" and isinstance(value, (list, np.ndarray)):
            # Anything but a row per image is about the batch as a whole.
            whole = len(value) != _size(batch)
            picked.data = value if whole else pick(value, places)
    return picked


def _size(batch: Any) -> int:
    return len(batch.images_unaug)
