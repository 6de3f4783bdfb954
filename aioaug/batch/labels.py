"""Rows that go by labels: where each of them is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Labels:
    """An array of labels (N,), and the position of each; the first one's if they repeat."""

    def __init__(self, indices: Array) -> None:
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def _positions(self) -> dict[Any, int]:
        labels = self.indices.tolist()
        return dict(zip(reversed(labels), range(len(labels) - 1, -1, -1), strict=True))

    def position(self, label: Any) -> int:
        """Where the row with this label is; `KeyError` if there is none."""
        try:
            return self._positions[label]
        except TypeError:
            raise KeyError(label) from None

    def positions(self, labels: Iterable[Any]) -> NDArray[np.intp]:
        """Where the rows with these labels are."""
        import numpy as np

        return np.array([self.position(label) for label in labels], np.intp)

    def find(self, wanted: Any) -> Any:
        """The position of a label, or the positions of a sequence or a slice of labels."""
        import numpy as np

        if isinstance(wanted, slice):
            return self._between(wanted)
        if isinstance(wanted, list) or np.ndim(wanted):
            return self.positions(wanted)
        return self.position(wanted)

    def _between(self, bounds: slice) -> NDArray[np.intp]:
        """As in `range`: from the first label up to the second, which is not in it.

        Labels that are numbers need not exist for that; any others do.
        """
        import numpy as np

        if not len(self):
            return np.empty(0, np.intp)
        if self.indices.dtype.kind in "iu":
            step = 1 if bounds.step is None else bounds.step
            low, high = int(self.indices.min()), int(self.indices.max())
            first, last = (low, high + 1) if step > 0 else (high, low - 1)
            start = first if bounds.start is None else bounds.start
            stop = last if bounds.stop is None else bounds.stop
            return self.positions(n for n in range(start, stop, step) if n in self._positions)
        start = None if bounds.start is None else self.position(bounds.start)
        stop = None if bounds.stop is None else self.position(bounds.stop)
        return np.arange(len(self))[start : stop : bounds.step]
