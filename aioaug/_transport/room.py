"""Free shared memory of the call that a worker serves: a result that is made there is not copied.

A worker serves one call after the other, in one thread, so there is one such memory at a time.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .segments import NoRoom, Segment, Span, end_of


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

    def copied(self, array: Any) -> Any:
        """A copy of an array, in C order; raises `NoRoom` if it does not fit."""
        start, size = self.start, array.nbytes
        if start + size > self._segment.size:
            raise NoRoom(start + size)
        memory = self._segment.loan()
        self._lent.append((weakref.ref(memory), end_of([(start, size)])))
        copy = memory[start : start + size].view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy


_room: Room | None = None


@contextmanager
def offered(room: Room) -> Iterator[None]:
    """Have `copied` use this room."""
    global _room
    _room = room
    try:
        yield
    finally:
        _room = None


def copied(array: Any) -> Any:
    """A copy of an array in C order, in the shared memory of the call if there is room for it."""
    if _room is not None and not array.dtype.hasobject:
        try:
            return _room.copied(array)
        except NoRoom:
            pass
    return array.copy()
