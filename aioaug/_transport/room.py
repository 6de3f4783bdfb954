"""Free shared memory of the call that a worker serves: a result that is made there is not copied.

A worker serves one call after the other, in one thread, so there is one such memory at a time.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from .segments import NoRoom, Segment, Span, end_of

if TYPE_CHECKING:
    import numpy as np


class Room:
    """The memory of a segment behind the arrays of a call."""

    def __init__(self, segment: Segment, spans: tuple[Span, ...]) -> None:
        self._segment = segment
        self._start = end_of(spans)
        self._lent: list[tuple[weakref.ref[Any], int]] = []  # memory, and where it ends

    @property
    def start(self) -> int:
        """Where memory begins that no array lies in."""
        return max((end for memory, end in self._lent if memory() is not None), default=self._start)

    @property
    def is_in_use(self) -> bool:
        """Whether an array is left that lies in it."""
        return any(memory() is not None for memory, _ in self._lent)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """A new array; raises `NoRoom` if it does not fit."""
        start, size = self.start, math.prod(shape) * dtype.itemsize
        if start + size > self._segment.size:
            raise NoRoom(start + size)
        memory = self._segment.loan()
        self._lent.append((weakref.ref(memory), end_of([(start, size)])))
        return memory[start : start + size].view(dtype).reshape(shape)


_room: Room | None = None


@contextmanager
def offered(room: Room) -> Iterator[None]:
    """Have `empty` use this room."""
    global _room
    _room = room
    try:
        yield
    finally:
        _room = None


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A new array in C order, in the shared memory of the call if there is room for it."""
    import numpy as np

    if _room is not None and not dtype.hasobject:
        with suppress(NoRoom):
            return _room.empty(shape, dtype)
    return np.empty(shape, dtype)


def copied(array: Any) -> Any:
    """A copy of an array, made there."""
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


class Rows:
    """Makes one array of arrays that come one after the other, at most `count` of them.

    Each is copied to its place when it comes, while it is in the processor's cache, and its own
    memory is free for the next one. Copied at the end, all of them would come from main memory.
    `make` makes the array, of a shape and a dtype.
    """

    def __init__(self, count: int, make: Callable[[tuple[int, ...], Any], Any] = empty) -> None:
        self._count = count
        self._make = make
        self._filled = 0
        self._rows: Any = None
        self._apart: list[Any] | None = None  # they do not fit into one array

    def add(self, array: Any) -> None:
        """Take the next one."""
        import numpy as np

        array = np.asarray(array)
        if self._rows is None and self._apart is None:
            self._rows = self._make((self._count, *array.shape), array.dtype)
        if self._apart is None and not self._fits(array):
            self._apart = [row.copy() for row in self._rows[: self._filled]]
            self._rows = None
        if self._apart is not None:
            self._apart.append(array)
            return
        self._rows[self._filled] = array
        self._filled += 1

    def done(self) -> Any:
        """The array (N,...), or a list where they are of several shapes or dtypes, or none."""
        if self._apart is not None:
            return self._apart
        return [] if self._rows is None else self._rows[: self._filled]

    def _fits(self, array: Any) -> bool:
        return bool(array.shape == self._rows.shape[1:] and array.dtype == self._rows.dtype)
