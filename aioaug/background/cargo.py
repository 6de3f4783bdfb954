"""The state of workers, its large arrays laid once into memory that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import _slots


class Cargo:
    """Any object; where it is unpickled it is the object itself, its large arrays read-only.

    However many workers unpickle it, those arrays are in memory once. Where the system has no
    such memory, each worker gets a copy. Building one pickles the object and copies its arrays.
    """

    private = True

    def __init__(self, value: Any) -> None:
        self._head, buffers = _slots.flatten(value)
        self._segment: _slots.Segment | None = None
        self._spans: list[_slots.Span] = []
        if not buffers:
            return
        try:
            self._segment = _slots.Segment.create(0, _slots.room_for(buffers))
        except OSError:
            self._head = _slots.pickled(value)
        else:
            self._spans = _slots.lay(buffers, self._segment.memory)

    def clone(self) -> Cargo:
        """Itself: nobody changes it."""
        return self

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What has to reach the process in which it is unpickled."""
        return () if self._segment is None else (self._segment.fd,)

    def release(self) -> None:
        """Let go of the memory; workers that have opened it keep it. Idempotent."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.release()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        address = None if self._segment is None else tuple(self._segment.address)
        return _unpacked, (self._head, address, tuple(self._spans))


def _unpacked(head: bytes, address: Sequence[Any] | None, spans: Sequence[_slots.Span]) -> Any:
    if address is None:
        return _slots.rebuild(head)
    memory = _slots.Segment.attach(_slots.Address(*address)).memory
    arrays = _slots.views(memory, spans)
    for array in arrays:
        array.flags.writeable = False
    return _slots.rebuild(head, arrays)
