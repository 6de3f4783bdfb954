"""What happens to a picture's numbers after it was transformed, and the fit that this may need."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ._types import Array

_TINY = 1e-6  # as in Keras, so that a constant picture is not divided by zero


class Statistics(NamedTuple):
    """What `fit` found out; a part that is not needed is `None`."""

    mean: Array | None
    std: Array | None
    whitening: Array | None

    def same(self, other: Statistics) -> bool:
        """Whether these are the very same arrays."""
        return all(mine is its for mine, its in zip(self, other, strict=True))


@dataclass(kw_only=True, eq=False, repr=False)
class Normalization:
    """Scaling and centering, over one sample or over the data that was fitted."""

    featurewise_center: bool = False
    samplewise_center: bool = False
    featurewise_std_normalization: bool = False
    samplewise_std_normalization: bool = False
    zca_whitening: bool = False
    zca_epsilon: float = 1e-6
    rescale: float | None = None
    dtype: Any = "float32"
    data_format: str = "channels_last"

    # Found by `fit`, or set by hand, as from a file of an earlier run.
    mean: Array | None = field(default=None, init=False)
    std: Array | None = field(default=None, init=False)
    zca_whitening_matrix: Array | None = field(default=None, init=False)

    def _check_normalization(self) -> None:
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"data_format must be 'channels_last' or 'channels_first', got {self.data_format!r}"
            )
        self.dtype = np.dtype(self.dtype)
        if self.zca_whitening:
            self._override("featurewise_center", True, "zca_whitening")
            self._override("featurewise_std_normalization", False, "zca_whitening")
        if self.featurewise_std_normalization:
            self._override("featurewise_center", True, "featurewise_std_normalization")
        if self.samplewise_std_normalization:
            self._override("samplewise_center", True, "samplewise_std_normalization")

    def _override(self, name: str, value: bool, because: str) -> None:
        if getattr(self, name) is not value:
            warnings.warn(f"{because} sets {name} to {value}", stacklevel=5)
            setattr(self, name, value)

    @property
    def channel_axis(self) -> int:
        """The axis of channels in a batch."""
        return 3 if self.data_format == "channels_last" else 1

    @property
    def statistics(self) -> Statistics:
        """What `fit` found, as it is now."""
        return Statistics(self.mean, self.std, self.zca_whitening_matrix)

    @statistics.setter
    def statistics(self, found: Statistics) -> None:
        self.mean, self.std, self.zca_whitening_matrix = found

    def standardize(self, x: Array) -> Array:
        """Normalise one picture or a batch of them in place, and return it.

        The order: rescale, samplewise center and std (over all of `x`), featurewise center and
        std, whitening. Integers raise `TypeError`, as NumPy does: they cannot hold the result.
        """
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + _TINY
        if self.featurewise_center and self._fitted(self.mean, "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._fitted(
            self.std, "featurewise_std_normalization"
        ):
            x /= self.std + _TINY  # type: ignore[operator]
        matrix = self.zca_whitening_matrix
        if self.zca_whitening and self._fitted(matrix, "zca_whitening"):
            flat = x.reshape(-1, int(np.prod(x.shape[-3:])))
            x[...] = (flat @ matrix).reshape(x.shape)
        return x

    def _fitted(self, what: Array | None, needed_for: str) -> bool:
        if what is None:
            warnings.warn(
                f"{needed_for} is left out: call fit() with some data first", stacklevel=3
            )
        return what is not None

    def _fit_statistics(self, x: Array) -> None:
        """Find out the statistics of a batch (N,...), which is changed."""
        axes = tuple(axis for axis in range(4) if axis != self.channel_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=axes, keepdims=True)[0]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=axes, keepdims=True)[0]
            x /= self.std + _TINY
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            vectors, values, _ = np.linalg.svd(flat.T, full_matrices=False)
            scale = np.sqrt(len(flat)) / (values + self.zca_epsilon)
            self.zca_whitening_matrix = (vectors * scale) @ vectors.T
