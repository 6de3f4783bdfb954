"""Memory for what is gone before the next picture.

The C library gives memory back to the kernel and asks for it again, which clears each page of it.
Between pictures this takes as long as the work on one.
"""

from __future__ import annotations

from math import prod
from threading import local
from typing import Any

import numpy as np

MOST = 2**20  # bytes that a thread keeps

_kept = local()


def scratch(shape: tuple[int, ...], kind: Any) -> Any:
    """An array of any content; the next call in this thread may give the same memory."""
    size = prod(shape) * np.dtype(kind).itemsize
    if size > MOST:
        return np.empty(shape, kind)
    if not hasattr(_kept, "memory"):
        _kept.memory = np.empty(MOST, np.uint8)
    return _kept.memory[:size].view(kind).reshape(shape)
