"""The same work again and again, or one piece after the other, in processes behind the program."""

from __future__ import annotations

from ..errors import TimeoutError
from .fifo import SharedQ
from .proc import BackgroundProc
from .shared import SharedArray, SharedMem

__all__ = ["BackgroundProc", "SharedArray", "SharedMem", "SharedQ", "TimeoutError"]
