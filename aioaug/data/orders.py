"""In which order the pictures of an epoch come, and where it is cut into batches."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._base.arguments import shard_or_default, whole, whole_or_none
from .._pictures import Array


class _Epoch(NamedTuple):
    """The pictures of an epoch one after the other, and where each of its batches begins.

    A batch here is that of all ranks together. The last cut is the end of the last one.
    """

    order: Array
    cuts: Array


class EpochOrder:
    """The order of the pictures in each epoch, as it follows from the seed and the epoch alone.

    `groups` gives the number of a group for each picture: a batch has pictures of one group, and
    so have those of all ranks with the same number. It is called when the first batch is wanted,
    with the least number of pictures that a group must have, if it has any.
    """

    def __init__(
        self,
        pictures: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        drop_last: bool,
        shard: tuple[int, int] | None,
        groups: Callable[[int], Array] | None = None,
    ) -> None:
        self.pictures = pictures
        self.batch_size = whole("batch_size", batch_size, low=1)
        seed = whole_or_none("seed", seed, low=0)
        self.seed = secrets.randbits(64) if seed is None else seed
        self.shard = shard_or_default("shard", shard)
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._groups = groups
        self._known: tuple[int, _Epoch] | None = None
        self._check_shares()
        self._per_epoch = None if groups is not None else len(self._cuts(pictures)) - 1

    @property
    def per_epoch(self) -> int:
        """How many batches each rank has in an epoch."""
        if self._per_epoch is None:
            self._per_epoch = len(self._epoch(0).cuts) - 1
        return self._per_epoch

    def numbers(self, epoch: int, batch: int) -> Array:
        """The pictures of one batch of this rank."""
        order, cuts = self._epoch(epoch)
        rank, world_size = self.shard
        return order[cuts[batch] + rank : cuts[batch + 1] : world_size]

    def of_all_ranks(self, epoch: int) -> Array:
        """The pictures of an epoch in order, those last that are in no batch."""
        return self._epoch(epoch).order

    def _check_shares(self) -> None:
        world_size = self.shard[1]
        if self._drop_last or world_size == 1:
            return
        # A group may have any number of pictures, and one more than fills batches of 1.
        alone = self.batch_size == 1 and (
            self._groups is not None or self.pictures % world_size != 0
        )
        if alone or 0 < self.pictures < world_size:
            raise ValueError(
                f"{world_size} ranks cannot have equally many batches of {self.batch_size} out of "
                f"{self.pictures} pictures: set drop_last=True, or take a batch_size of at least 2"
            )

    def _epoch(self, epoch: int) -> _Epoch:
        if self._known is None or self._known[0] != epoch:
            count = self.pictures
            order = shuffled(count, self.seed, epoch) if self._shuffle else np.arange(count)
            found = (
                _Epoch(order, self._cuts(count))
                if self._groups is None
                else self._grouped(order, self._groups(self._least()))
            )
            self._known = epoch, found
            return found
        return self._known[1]

    def _least(self) -> int:
        """How many pictures a group must have so that none of them is always left out."""
        world_size = self.shard[1]
        return world_size * self.batch_size if self._drop_last else world_size

    def _cuts(self, pictures: int) -> Array:
        """Where the batches of so many pictures begin, and the last one ends."""
        world_size = self.shard[1]
        step = world_size * self.batch_size
        if self._drop_last:
            return np.arange(pictures // step + 1) * step
        cuts = np.append(np.arange(-(-pictures // step)) * step, pictures)
        if len(cuts) > 2:
            # Each rank needs a picture in the last batch; then the one before gets one fewer.
            cuts[-2] = min(cuts[-2], (pictures // world_size - 1) * world_size)
        return cuts

    def _grouped(self, order: Array, groups: Array) -> _Epoch:
        """The same order with the pictures of each batch together.

        A batch comes where its first picture would: groups take turns as often as they have
        pictures.
        """
        of_place = groups[order]
        parts: list[Array] = []
        begins: list[Array] = []
        left: list[Array] = []
        for group in np.unique(groups):
            (places,) = np.nonzero(of_place == group)
            cuts = self._cuts(len(places))
            parts += [order[places[begin:end]] for begin, end in pairwise(cuts)]
            begins.append(places[cuts[:-1]])
            left.append(order[places[cuts[-1] :]])
        turns = np.argsort(np.concatenate(begins)) if parts else ()
        parts = [parts[turn] for turn in turns]
        cuts = np.cumsum([0, *map(len, parts)])
        return _Epoch(np.concatenate([*parts, *left, np.empty(0, np.int64)]), cuts)


def shuffled(count: int, *seed: int) -> Array:
    """The numbers below `count` in an order that depends on the seed alone, one number or more.

    The bits of Philox are the same in every version of NumPy, but those of `Generator.permutation`
    need not be: a run that is resumed somewhere else would read other pictures.
    """
    bits = np.random.Philox(np.random.SeedSequence(seed[0], spawn_key=seed[1:]))
    return np.argsort(bits.random_raw(count), kind="stable")
