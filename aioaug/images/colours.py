"""Channel shift, brightness and contrast of pictures (H,W,C), as Pillow does them, and noise.

Pictures are 0 to 255, or 0 to 1 if nothing in them is above 1. In the first case brightness and
contrast drop what is behind the point, as Pillow does on bytes. Kinds of noise have the
names of scikit-image.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._base.arguments import one_of
from .._pictures import Array

_RGBA = 4
_SALT_AND_PEPPER = 0.004  # the share of values that are replaced, half by each extreme
_SIGMA = math.sqrt(0.1)


def _top_of(x: Array) -> float:
    """The brightest value that `x` may hold: 1 for pictures between 0 and 1, otherwise 255."""
    return 1.0 if x.size and x.max() <= 1 else 255.0


def channel_shift(x: Array, intensity: float) -> Array:
    """Add `intensity` to every channel, within the picture's own extremes."""
    return np.clip(x + intensity, x.min(), x.max()).astype(x.dtype, copy=False)


def brightness(x: Array, factor: float) -> Array:
    """Blend with black: 0 is black, 1 the picture as it is. An alpha channel stays."""
    return x if factor == 1 else _on_bytes(x, lambda picture: picture * factor)


def contrast(x: Array, factor: float) -> Array:
    """Blend with the picture's mean grey: 0 is that grey, 1 the picture. Alpha stays."""
    if factor == 1:
        return x
    return _on_bytes(x, lambda picture: (grey := _mean_grey(picture)) + factor * (picture - grey))


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
    for value in (_top_of(x), 0):
        noisy.reshape(-1)[rng.integers(0, x.size, count)] = value
    return noisy


def speckle(x: Array, rng: np.random.Generator) -> Array:
    """Add n times the value, n being uniform with mean 0 and variance 1."""
    return x + x * rng.uniform(-math.sqrt(3), math.sqrt(3), x.shape)


NOISES = {"gauss": gauss, "poisson": poisson, "s&p": salt_and_pepper, "speckle": speckle}


def add_noise(x: Array, kind: str, seed: object) -> Array:
    """Return `x` with noise of one kind; the same for the same seed, `None` draws one."""
    rng = np.random.default_rng(seed)  # type: ignore[arg-type]
    return NOISES[one_of("noise", kind, NOISES)](np.ascontiguousarray(x), rng).astype(
        x.dtype, copy=False
    )


def _on_bytes(x: Array, change: Callable[[Array], Array]) -> Array:
    """Apply `change` to what is not alpha, brought to the range of a picture and back."""
    low, high = float(x.min()), float(x.max())
    picture = x.astype(np.float64)
    if low >= 0 and high <= 1:
        changed = np.clip(change(picture), 0, 1)
    elif low >= 0 and high <= 255:
        changed = np.trunc(np.clip(change(np.trunc(picture)), 0, 255))
    else:
        span = (high - low) or 1.0
        scaled = np.trunc((picture - low) / span * 255)
        changed = np.trunc(np.clip(change(scaled), 0, 255)) / 255 * span + low
    if x.shape[-1] == _RGBA:
        changed[..., 3] = picture[..., 3]
    return changed.astype(x.dtype, copy=False)


def _mean_grey(picture: Array) -> float:
    """Pillow's mean luma (ITU-R 601-2), a whole number where pixels are."""
    whole = picture.max() > 1
    if picture.shape[-1] >= 3:
        luma = picture[..., :3] @ np.array([19595, 38470, 7471]) / 65536
        luma = np.floor(luma + 0.5) if whole else luma
    else:
        luma = picture[..., 0]
    mean = float(luma.mean())
    return float(np.floor(mean + 0.5)) if whole else mean
