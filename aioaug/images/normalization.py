"""What happens to a picture's numbers after it was transformed, and the fit that this may need."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._pictures import Array

_TINY = 1e-6  # as in Keras, so that a constant picture is not divided by zero


class WhiteningMatrix:
    """The symmetric matrix `factor @ factor.T`, which takes no more memory than `factor`.

    For pictures of 64x64x3 all its elements are 600 MB, which would go to each worker. NumPy makes
    an array of them where it needs one.
    """

    __array_ufunc__ = None  # NumPy leaves `array @ matrix` to this class

    def __init__(self, factor: Array) -> None:
        self._factor = factor
        self.shape = (len(factor), len(factor))
        self.dtype = factor.dtype

    def __rmatmul__(self, rows: Array) -> Array:
        return (rows @ self._factor) @ self._factor.T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return (self._factor @ self._factor.T).astype(dtype or self.dtype, copy=False)


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
    zca_whitening_matrix: Array | WhiteningMatrix | None

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
            matrix = _whitening(x.reshape(len(x), -1), self.zca_epsilon)
        return replace(self, mean=mean, std=std, zca_whitening_matrix=matrix)

    def _has(self, what: Array | WhiteningMatrix | None, needed_for: str) -> bool:
        if what is None:
            warnings.warn(
                f"{needed_for} is left out: call fit() with some data first", stacklevel=3
            )
        return what is not None


def _whitening(x: Array, epsilon: float) -> Array | WhiteningMatrix:
    """The inverse root of the covariance of rows whose mean is 0, by their singular values.

    Directions in which the rows do not differ are left out: divided by rounding errors, they would
    be nothing but noise.
    """
    vectors, values, _ = np.linalg.svd(x.T, full_matrices=False)
    rounding = math.sqrt(max(x.shape)) * np.finfo(values.dtype).eps
    there = values > values.max(initial=0) * rounding
    scale = math.sqrt(len(x)) / (values[there] + epsilon)
    factor = vectors[:, there] * np.sqrt(scale)
    full = 2 * factor.shape[1] > factor.shape[0]
    return factor @ factor.T if full else WhiteningMatrix(factor)
