"""Free shared memory of the call that a worker serves: a result that is made there is not copied.

A worker serves one call after the other, in one thread, so there is one such memory at a time.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
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


def stacked(arrays: Sequence[Any]) -> Any:
    """Arrays of one shape and dtype as the rows of one, made there."""
    rows = empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for place, array in enumerate(arrays):
        rows[place] = array
    return rows
