"""Samples from files whose names were listed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._pictures import Array
from .sample_rows import SampleRows, pick, pick_targets

CLASS_MODES = ("categorical", "binary", "sparse", "input", None)
FRAME_MODES = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)


class FileSource:
    """Files below a directory; only their names go to workers.

    `labels` are what `class_mode` makes targets of: classes by number, for "categorical" also
    lists of them, or, for "raw" and "multi_output", arrays that are handed on.
    """

    def __init__(
        self,
        directory: str | None,
        filenames: Sequence[Any],
        *,
        class_indices: dict[str, int],
        class_mode: str | None,
        labels: Any,
        dtype: np.dtype[Any],
        weights: Array | None = None,
    ) -> None:
        self.directory = directory or ""
        self.filenames = list(filenames)
        self.class_indices = class_indices
        self.class_mode = class_mode
        self.labels = labels
        self.classes = None if class_mode in ("raw", "multi_output") else labels
        self.weights = weights
        self._dtype = dtype

    def __len__(self) -> int:
        return len(self.filenames)

    def read(self, numbers: list[int]) -> SampleRows:
        """The names of these samples, and their targets."""
        classes = self.classes
        if isinstance(classes, np.ndarray):
            classes = classes[numbers].tolist()
        elif classes is not None:
            classes = pick(classes, numbers)
        return SampleRows(
            numbers=numbers,
            files=pick(self.filenames, numbers),
            classes=classes,
            targets=self._targets(numbers, classes),
            weights=pick(self.weights, numbers),
        )

    x = y = image_shape = None  # only arrays have them

    @property
    def filepaths(self) -> list[Any]:
        """The files of the samples, as they are opened."""
        return [
            tuple(os.path.join(self.directory, one) for one in name)
            if isinstance(name, tuple)
            else os.path.join(self.directory, name)
            for name in self.filenames
        ]

    def _targets(self, numbers: list[int], classes: list[Any] | None) -> Any:
        if self.class_mode in ("raw", "multi_output"):
            return pick_targets(self.labels, numbers)
        if self.class_mode in ("binary", "sparse"):
            return np.array(classes, self._dtype)
        if self.class_mode == "categorical":
            targets = np.zeros((len(numbers), len(self.class_indices)), self._dtype)
            for place, one in enumerate(classes or ()):
                targets[place, one] = 1
            return targets
        return None  # "input" is made of the images
