"""An object pickled once, its large arrays in memory that all workers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import segments, serialization


class SharedPickle:
    """Carries an object: unpickling gives the object itself, with its large arrays read-only.

    However many workers unpickle it, those arrays are in memory once. Where the system has no
    shared memory, each worker gets a copy. Building one pickles the object and copies its arrays.
    """

    owns_interpreter: bool

    def __init__(self, value: Any) -> None:
        self._head, buffers = serialization.flatten(value)
        self._segment: segments.Segment | None = None
        self._spans: list[segments.Span] = []
        if not buffers:
            return
        try:
            self._segment = segments.Segment.create(0, segments.room_for(buffers))
        except OSError:
            self._head = serialization.pickled(value)
        else:
            self._spans = segments.lay(buffers, self._segment.memory)

    def clone(self) -> SharedPickle:
        """Return itself, because nobody changes it."""
        return self

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that a process needs to unpickle it."""
        return () if self._segment is None else (self._segment.fd,)

    def release(self) -> None:
        """Release the memory; workers that have opened it keep it. Idempotent."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.release()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        address = None if self._segment is None else tuple(self._segment.address)
        return _unpacked, (self._head, address, tuple(self._spans))


def _unpacked(head: bytes, address: Sequence[Any] | None, spans: Sequence[segments.Span]) -> Any:
    if address is None:
        return serialization.rebuild(head)
    memory = segments.Segment.attach(segments.Address(*address)).memory
    arrays = segments.views(memory, spans)
    for array in arrays:
        array.flags.writeable = False
    return serialization.rebuild(head, arrays)
