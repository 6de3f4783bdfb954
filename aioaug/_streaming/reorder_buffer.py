"""Results that are there and not asked for yet, in the order in which they are handed out.

It has no bound of its own: `output_buffer` has.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._base.results import BatchResult, Skipped
from .state import DeliveryTracker


class ReorderBuffer:
    """Holds results by their position in the source, and tells the tracker which are taken.

    `ordered`, they are taken in the order of the source, otherwise in that in which they came.
    """

    def __init__(self, tracker: DeliveryTracker, *, ordered: bool) -> None:
        self._tracker = tracker
        self._ordered = ordered
        self._results: dict[int, BatchResult] = {}
        self._next = tracker.wanted_from(0)

    @property
    def ready(self) -> bool:
        """Whether there is a result to `take`."""
        return self._next in self._results if self._ordered else bool(self._results)

    def put(self, positions: Sequence[int], results: Sequence[BatchResult]) -> None:
        """Add results that have come together."""
        self._results.update(zip(positions, results, strict=True))

    def take(self) -> BatchResult:
        """The next result; there must be one."""
        position = self._next if self._ordered else next(iter(self._results))
        result = self._results.pop(position)
        self._tracker.deliver(position, skipped=isinstance(result, Skipped))
        self._next = self._tracker.wanted_from(position + 1)
        return result

    def clear(self) -> None:
        """Drop what nobody will ask for."""
        self._results.clear()
