"""Which items a batch has: order, epochs, what is left over, and splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._base.arguments import whole, whole_or_none
from .rng import make_rng

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[Any]


class Epochs:
    """Hands out positions batch by batch, through as many epochs as are asked for."""

    def __init__(self) -> None:
        self._order: Positions | None = None
        self._start = 0
        self._epochs = 0
        self._batches = 0
        self._over = False

    def next(
        self,
        count: int,
        batch_size: int,
        shuffle: Any,
        n_iters: int | None,
        n_epochs: int | None,
        drop_last: bool,
    ) -> Positions | None:
        """The positions of the next batch out of `count` items; `None` when all have been."""
        import numpy as np

        self._check(count, batch_size, n_iters, n_epochs)
        if self._over or (n_iters is not None and self._batches >= n_iters) or n_epochs == 0:
            return None
        if self._order is None:
            self._order = order_of(count, shuffle)
        found: Positions | None
        found = rest = self._order[self._start : self._start + batch_size]
        size = len(rest)
        self._start += size
        if self._start == count:
            self._epochs += 1
            self._order = order_of(count, shuffle, self._order)
            self._start = 0
            last = n_epochs is not None and self._epochs >= n_epochs
            missing = batch_size - size
            if missing and drop_last:
                found = None if last else self._order[:batch_size]
                self._start = 0 if last else batch_size
            elif missing and not last:
                found = np.concatenate((rest, self._order[:missing]))
                self._start = missing
            self._over = last
        self._batches += 1
        return found

    def _check(
        self, count: int, batch_size: int, n_iters: int | None, n_epochs: int | None
    ) -> None:
        whole_or_none("n_iters", n_iters, low=0)
        whole_or_none("n_epochs", n_epochs, low=0)
        if whole("batch_size", batch_size, low=1) > count:
            raise ValueError(f"batch_size must be at most the {count} items, got {batch_size}")
        if n_iters is not None and n_epochs is not None:
            raise ValueError("only one of n_iters and n_epochs may be given")


def order_of(count: int, shuffle: Any, before: Positions | None = None) -> Positions:
    """The order of an epoch: that of the one before, shuffled if asked for."""
    import numpy as np

    order: Positions = np.arange(count) if before is None else before
    if shuffle is False or shuffle is None:
        return order
    return make_rng(None if shuffle is True else shuffle).permutation(order)


def split_sizes(shares: float | Sequence[float], count: int) -> tuple[int, int, int]:
    """How many of `count` items go to train, test and validation.

    The last share is what the others leave; each that is named gets one item at least.
    """
    import numpy as np

    given = [shares] if isinstance(shares, int | float) else list(shares)
    if len(given) > 3:
        raise ValueError(f"shares must be at most three, got {shares}")
    if sum(given) > 1 or min(given) < 0:
        raise ValueError(f"shares must be at least 0 and at most 1 together, got {shares}")
    parts = np.array(given if len(given) > 2 else [*given, 0.0])
    if count < len(parts):
        raise ValueError(f"{count} items cannot be split into {len(parts)} parts")
    parts[-1] = 1 - parts[:-1].sum()
    if parts[-1] == 0:
        parts = parts[:-1]
    sizes = np.maximum(np.round(parts * count).astype(int), 1).tolist()
    _, test, validation = sizes + [0] * (3 - len(sizes))
    return max(0, count - test - validation), test, validation
