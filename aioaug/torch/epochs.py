"""Which batches make up the epochs of a `Loader`, and which of them are a rank's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..data.orders import shuffled


class Numbered(Protocol):
    """Batches that are had by number, epoch after epoch; `per_epoch` is their number in one."""

    @property
    def per_epoch(self) -> int: ...

    def __getitem__(self, number: int) -> Any: ...


class ItemBatches:
    """Numbers of the items of a data set, which a worker fetches: batches of `batch_size`.

    With `batch_size=None` each item is a batch already.
    """

    def __init__(
        self, items: int, batch_size: int | None, *, shuffle: bool, seed: int, drop_last: bool
    ) -> None:
        size = batch_size or 1
        self.per_epoch = items // size if drop_last else -(-items // size)
        self._items = items
        self._size = size
        self._alone = batch_size is None
        self._shuffle = shuffle
        self._seed = seed
        self._order: tuple[int, Any] = (-1, None)

    def __getitem__(self, number: int) -> Any:
        epoch, batch = divmod(number, self.per_epoch)
        if self._order[0] != epoch:
            order = shuffled(self._items, self._seed, epoch) if self._shuffle else None
            self._order = epoch, np.arange(self._items) if order is None else order
        chosen = self._order[1][batch * self._size : (batch + 1) * self._size].tolist()
        return chosen[0] if self._alone else chosen


class Share(NamedTuple):
    """What one rank gets: of all batches of an epoch every `world_size`-th.

    All ranks have equally many. With `drop_last` what is too many is left out; else the first
    batches of the epoch come again. The index of a batch, from which its random numbers follow, is
    the one that it has where there is one rank.
    """

    batches: Numbered
    rank: int
    world_size: int
    drop_last: bool

    @property
    def per_epoch(self) -> int:
        """How many batches this rank has in an epoch."""
        total = self.batches.per_epoch
        if self.drop_last:
            return total // self.world_size
        return -(-total // self.world_size)

    def number(self, position: int) -> int:
        """Which batch is at this position, counted over all epochs of this rank."""
        epoch, own = divmod(position, self.per_epoch)
        total = self.batches.per_epoch
        return epoch * total + (own * self.world_size + self.rank) % total

    def numbers(self, position: int) -> Iterator[int]:
        """Those from this position on."""
        return (self.number(each) for each in count(position))

    def source(self, position: int) -> Iterator[Any]:
        """The batches from this position on, without end."""
        return (self.batches[number] for number in self.numbers(position))
