"""How much shared memory results will need, learnt from those that came before."""

from __future__ import annotations

from ..small_calls import SMALL_BYTES

# Results that came pickled although they are so large get a segment from then on.
_PICKLED_BYTES = 1 << 18
# A share of the size of what goes in, before any result was seen.
_ROOM = 1.1


class ResultSizePredictor:
    """Says how large a segment must be for a call and its result; the largest result so far counts.

    `without_arrays` is the size in bytes of results of calls that bring no arrays, 0 if such
    results are small. Used from any thread.
    """

    def __init__(self, without_arrays: int = 0) -> None:
        self.without_arrays = without_arrays if without_arrays >= SMALL_BYTES else 0
        self._behind = 0

    def room_for(self, size: int) -> int:
        """How many bytes the result will need behind a call's arrays of together `size` bytes."""
        return max(int(_ROOM * size), self._behind) if size else self.without_arrays

    def note_needed(self, size: int, needed: int) -> None:
        """The segment of a call of `size` bytes was too small: it took `needed` bytes in all."""
        if size:
            self._behind = max(self._behind, needed - size)
        else:
            self.without_arrays = max(self.without_arrays, needed)

    def note_pickled(self, size: int) -> None:
        """The result of a call without a segment came pickled, as so many bytes."""
        if size >= _PICKLED_BYTES:
            self.without_arrays = max(self.without_arrays, int(_ROOM * size))
