"""Channel shift, brightness and contrast of pictures (H,W,C), as Pillow computes them.

Pictures are 0 to 255, or 0 to 1 if nothing in them is above 1. In the first case brightness and
contrast drop what is behind the point, as Pillow does on bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._types import Array

_RGBA = 4


def top_of(x: Array) -> float:
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
