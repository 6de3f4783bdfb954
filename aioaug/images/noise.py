"""Four kinds of noise, by the names that scikit-image and the seed of this design give them."""

from __future__ import annotations

import math

import numpy as np

from ._types import Array
from .colours import top_of

_SALT_AND_PEPPER = 0.004  # the share of values that are replaced, half by each extreme
_SIGMA = math.sqrt(0.1)


def gauss(x: Array, rng: np.random.Generator) -> Array:
    """Add normal noise of variance 0.1 to each value; the result is not clipped."""
    return x + rng.normal(0, _SIGMA, x.shape)


def poisson(x: Array, rng: np.random.Generator) -> Array:
    """Draw each value from the Poisson law of its own mean, in steps that the data suggest."""
    if x.min() < 0:
        raise ValueError(f"poisson noise needs values of at least 0, got {x.min()}")
    steps = 2 ** math.ceil(math.log2(len(np.unique(x))))
    return np.asarray(rng.poisson(x * steps) / steps)


def salt_and_pepper(x: Array, rng: np.random.Generator) -> Array:
    """Set some values to the extremes of the data's range: 0 and 255, or 0 and 1."""
    count = math.ceil(_SALT_AND_PEPPER * x.size * 0.5)
    noisy = x.copy()
    for value in (top_of(x), 0):
        noisy.reshape(-1)[rng.integers(0, x.size, count)] = value
    return noisy


def speckle(x: Array, rng: np.random.Generator) -> Array:
    """Add n times the value, n being uniform with mean 0 and variance 1."""
    return x + x * rng.uniform(-math.sqrt(3), math.sqrt(3), x.shape)


KINDS = {"gauss": gauss, "poisson": poisson, "s&p": salt_and_pepper, "speckle": speckle}


def add_noise(x: Array, kind: str, seed: object) -> Array:
    """Return `x` with noise of one kind; the same for the same seed, `None` draws one."""
    if kind not in KINDS:
        raise ValueError(f"noise must be one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    rng = np.random.default_rng(seed)  # type: ignore[arg-type]
    return KINDS[kind](np.ascontiguousarray(x), rng).astype(x.dtype, copy=False)
