"""Which batches make up the epochs of a `Loader`, and which of them are a rank's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple, Protocol

from ..data.orders import EpochOrder


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
        self._order = EpochOrder(items, batch_size or 1, shuffle, seed, drop_last, None)
        self._alone = batch_size is None

    @property
    def per_epoch(self) -> int:
        """How many batches there are in an epoch."""
        return self._order.per_epoch

    def __getitem__(self, number: int) -> Any:
        chosen = self._order.numbers(*divmod(number, self.per_epoch)).tolist()
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
