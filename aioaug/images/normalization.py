"""What happens to a picture's numbers after it was transformed, and the fit that this may need."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from .._pictures import Array

_TINY = 1e-6  # as in Keras, so that a constant picture is not divided by zero


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalization:
    """Scaling and centering, over one sample or over the data that was fitted."""

    featurewise_center: bool
    samplewise_center: bool
    featurewise_std_normalization: bool
    samplewise_std_normalization: bool
    zca_whitening: bool
    zca_epsilon: float
    rescale: float | None
    mean: Array | None
    std: Array | None
    zca_whitening_matrix: Array | None

    def standardize(self, x: Array) -> Array:
        """Normalise one picture or a batch of them in place, and return it."""
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + _TINY
        if self.featurewise_center and self._has(self.mean, "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._has(
            self.std, "featurewise_std_normalization"
        ):
            x /= self.std + _TINY  # type: ignore[operator]
        matrix = self.zca_whitening_matrix
        if self.zca_whitening and self._has(matrix, "zca_whitening"):
            flat = x.reshape(-1, int(np.prod(x.shape[-3:])))
            x[...] = (flat @ matrix).reshape(x.shape)
        return x

    def fitted(self, x: Array, channel_axis: int) -> Normalization:
        """The same by the statistics of a batch (N,...), which is changed."""
        mean, std, matrix = self.mean, self.std, self.zca_whitening_matrix
        axes = tuple(axis for axis in range(4) if axis != channel_axis)
        if self.featurewise_center:
            mean = np.mean(x, axis=axes, keepdims=True)[0]
            x -= mean
        if self.featurewise_std_normalization:
            std = np.std(x, axis=axes, keepdims=True)[0]
            x /= std + _TINY
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            vectors, values, _ = np.linalg.svd(flat.T, full_matrices=False)
            scale = np.sqrt(len(flat)) / (values + self.zca_epsilon)
            matrix = (vectors * scale) @ vectors.T
        return replace(self, mean=mean, std=std, zca_whitening_matrix=matrix)

    def _has(self, what: Array | None, needed_for: str) -> bool:
        if what is None:
            warnings.warn(
                f"{needed_for} is left out: call fit() with some data first", stacklevel=3
            )
        return what is not None
