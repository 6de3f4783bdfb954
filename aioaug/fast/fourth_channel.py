"""A fourth channel, for OpenCV's linear interpolation.

OpenCV moves four channels in half the time of three, and each channel by itself. So with one more,
which is dropped afterwards, the three are the same.
"""

from __future__ import annotations

from typing import Any

import cv2

PAYS_FROM = 32  # pixels a side


def pays_with_fourth(image: Any) -> bool:
    """Whether a picture of `uint8` (H,W,C) is moved in less time so."""
    height, width, channels = image.shape
    return bool(channels == 3 and min(height, width) >= PAYS_FROM)


def with_fourth(image: Any) -> Any:
    return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)


def without_fourth(image: Any, out: Any = None) -> Any:
    """The first three channels, in an array if there is one."""
    return cv2.cvtColor(image, cv2.COLOR_RGBA2RGB, dst=out)
