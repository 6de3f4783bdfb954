"""The same work again and again, or one piece after the other, in processes behind the program."""

from __future__ import annotations

from ..errors import TimeoutError
from .background_proc import BackgroundProc
from .shared_array import SharedArray, SharedMem
from .shared_queue import SharedQ

__all__ = ["BackgroundProc", "SharedArray", "SharedMem", "SharedQ", "TimeoutError"]
