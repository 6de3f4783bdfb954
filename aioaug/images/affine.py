"""Rotation, shift, shear and zoom as one resampling, equal to SciPy's and several times as fast.

The matrix maps output to input pixels about the picture's centre: rotation, then shift, shear and
zoom, in homogeneous coordinates of rows and columns, as in keras_preprocessing.
"""

from __future__ import annotations

import functools
import math
from typing import Any, TypeAlias

import cv2
import numpy as np

from .._pictures import Array

# One random draw, by the names that Keras gives them: what `apply_transform` takes.
Plan: TypeAlias = dict[str, Any]

# Keras' name -> OpenCV's border and SciPy's mode. SciPy's own "wrap" repeats a row of n pixels
# every n - 1, where Keras documents abcd|abcd|abcd.
_BORDERS = {
    "constant": (cv2.BORDER_REPLICATE, "constant"),
    "nearest": (cv2.BORDER_REPLICATE, "nearest"),
    "reflect": (cv2.BORDER_REFLECT, "reflect"),
    "wrap": (cv2.BORDER_WRAP, "grid-wrap"),
}
FILL_MODES = (*_BORDERS, "mirror", "grid-constant", "grid-mirror", "grid-wrap")
_FAR = 32_000  # OpenCV's maps of whole pixels are int16
_OPENCV_CHANNELS = 4


def affine(x: Array, plan: Plan, *, fill_mode: str, cval: float, order: int) -> Array:
    """Resample `x` (H,W,C) by the plan's theta, tx, ty, shear, zx and zy.

    theta and shear are degrees, tx and ty pixels by which rows and columns are sampled further
    down and right, zx and zy factors on rows and columns, above 1 zooming out. Without any of
    them `x` itself is returned.
    """
    maps = _maps(plan)
    if maps is None:
        return x
    linear, shift = maps
    centre = np.array([x.shape[0] / 2 - 0.5, x.shape[1] / 2 - 0.5])
    offset = shift + centre - linear @ centre
    if order != 1 or fill_mode not in _BORDERS or not _fits_opencv(x, linear, offset):
        return _spline(x, linear, offset, fill_mode, cval, order)
    if fill_mode == "nearest" and x.shape[2] != 2 and _opencv_is_exact():
        return _warp(x, linear, offset)
    return _bilinear(x, linear, offset, fill_mode, cval)


def mirror(x: Array, axis: int) -> Array:
    """Turn a picture (H,W,C) around on axis 0, its rows, or 1, its columns."""
    if x.dtype == np.float32 and x.shape[2] <= _OPENCV_CHANNELS and x.size:
        flipped: Array = cv2.flip(x, axis)  # ten times as fast to copy later
        return flipped.reshape(x.shape)
    return np.flip(x, axis)


def _maps(plan: Plan) -> tuple[Array, Array] | None:
    """The linear part and the shift about the centre; `None` if there is nothing to do."""
    theta, shear = math.radians(plan.get("theta", 0)), math.radians(plan.get("shear", 0))
    tx, ty = plan.get("tx", 0), plan.get("ty", 0)
    zx, zy = plan.get("zx", 1), plan.get("zy", 1)
    if not (theta or shear or tx or ty) and zx == zy == 1:
        return None
    cos, sin = math.cos(theta), math.sin(theta)
    skew, stretch = math.sin(shear), math.cos(shear)
    # The product of the four matrices, multiplied out.
    linear = [
        [cos * zx, (-cos * skew - sin * stretch) * zy],
        [sin * zx, (-sin * skew + cos * stretch) * zy],
    ]
    return np.array(linear), np.array([cos * tx - sin * ty, sin * tx + cos * ty])


def _fits_opencv(x: Array, linear: Array, offset: Array) -> bool:
    height, width, channels = x.shape
    corners = np.array([[0, 0, height, height], [0, width, 0, width]])
    reach = max(height, width, float(np.abs(linear @ corners + offset[:, None]).max()))
    return x.dtype == np.float32 and channels <= _OPENCV_CHANNELS and x.size > 0 and reach < _FAR


@functools.cache
def _opencv_is_exact() -> bool:
    """Whether this version of OpenCV interpolates at the point itself.

    Many round coordinates to 1/32 of a pixel, which is several grey levels at an edge.
    """
    edge = np.zeros((32, 32, 3), np.float32)
    edge[:, 16:] = 255
    moved = _warp(edge, np.eye(2), np.array([0, 0.01]))
    return bool(np.abs(moved[:, 15] - 2.55).max() < 0.1)


def _warp(x: Array, linear: Array, offset: Array) -> Array:
    ((down, across), (skew, right)), (top, left) = linear, offset
    warped: Array = cv2.warpAffine(
        x,
        np.array([[right, skew, left], [across, down, top]]),
        x.shape[1::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return warped.reshape(x.shape)


def _bilinear(x: Array, linear: Array, offset: Array, fill_mode: str, cval: float) -> Array:
    # Whole pixels are fetched exactly by every OpenCV; the weights between them are computed here.
    height, width, channels = x.shape
    rows, columns = np.arange(height, dtype=float)[:, None], np.arange(width, dtype=float)
    down = (offset[0] + linear[0, 0] * rows) + linear[0, 1] * columns
    right = (offset[1] + linear[1, 0] * rows) + linear[1, 1] * columns
    top, left = np.floor(down), np.floor(right)
    lower, righter = (
        cv2.merge([share.astype(np.float32)] * channels).reshape(x.shape)
        for share in (down - top, right - left)
    )
    pixels = np.empty((height, width, 2), np.int16)
    pixels[..., 0], pixels[..., 1] = left, top
    border = _BORDERS[fill_mode][0]

    def row(step_down: int) -> Array:
        pixels[..., 1] += step_down
        first = cv2.remap(x, pixels, None, cv2.INTER_NEAREST, borderMode=border)
        pixels[..., 0] += 1
        second = cv2.remap(x, pixels, None, cv2.INTER_NEAREST, borderMode=border)
        pixels[..., 0] -= 1
        return _between(first.reshape(x.shape), second.reshape(x.shape), righter)

    above, below = row(0), row(1)
    result = _between(above, below, lower)
    if fill_mode == "constant":
        outside = (down < 0) | (down > height - 1) | (right < 0) | (right > width - 1)
        result[outside] = cval
    return result


def _between(first: Array, second: Array, share: Array) -> Array:
    """The point between both; `first` itself, exactly, where the share is 0. Uses their memory."""
    second -= first
    second *= share
    first += second
    return first


def _spline(
    x: Array, linear: Array, offset: Array, fill_mode: str, cval: float, order: int
) -> Array:
    from scipy import ndimage

    mode = _BORDERS[fill_mode][1] if fill_mode in _BORDERS else fill_mode
    channels = [
        ndimage.affine_transform(channel, linear, offset, order=order, mode=mode, cval=cval)
        for channel in np.moveaxis(x, -1, 0)
    ]
    return np.stack(channels, axis=-1)
