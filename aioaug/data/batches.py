"""Which pictures of a dataset make which batch: it follows from the seed and the epoch alone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import numpy as np

from .._base.arguments import one_of, shard_or_default, whole, whole_or_none
from .._pictures import Array
from .decoding import ReferenceBatch
from .fitting import checked_fit


class _Share(NamedTuple):
    """What one rank gets of an epoch: every `world_size`-th picture, in so many `batches`."""

    rank: int
    world_size: int
    batch_size: int
    batches: int
    pictures: int

    def bounds(self, number: int) -> slice:
        """Which of the rank's own pictures make up its batch with this number."""
        last = self.batches - 1
        # Another rank may have one picture more, and with it one batch more. Then one of the batch
        # before makes up the last batch of this one.
        end = min(last * self.batch_size, self.pictures - 1) if last else 0
        if number == last:
            return slice(end, min(end + self.batch_size, self.pictures))
        first = number * self.batch_size
        return slice(first, min(first + self.batch_size, end))


class DatasetBatches(Sequence[ReferenceBatch]):
    """The batches of a dataset, epoch after epoch: a source for `AsyncPool.imap_batches`.

    They can be read from any number on, so a stream that is resumed reads nothing twice. `len` is
    their number in all epochs, `per_epoch` that in one; endless ones have no `len`. `seed` is the
    seed of the order, also where none was given. `shard` is the rank and number of ranks, from
    which a pool numbers the batches so that no two ranks draw the same random numbers.
    """

    def __init__(
        self,
        samples: Sequence[Any],
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        epochs: int | None = 1,
        drop_last: bool = False,
        shard: tuple[int, int] | None = None,
        resize: tuple[int, int] | None = None,
        pad: int | tuple[int, int, int] | None = None,
        on_unreadable: Literal["raise", "skip"] = "raise",
        decode: Literal["whole", "fit"] = "whole",
    ) -> None:
        self.batch_size = whole("batch_size", batch_size, low=1)
        self.epochs = whole_or_none("epochs", epochs, low=0)
        seed = whole_or_none("seed", seed, low=0)
        self.seed = secrets.randbits(64) if seed is None else seed
        self.shard = shard_or_default("shard", shard)
        self._samples = samples
        self._shuffle = shuffle
        self._fit = checked_fit(resize, pad)
        self._on_unreadable = one_of("on_unreadable", on_unreadable, ("raise", "skip"))
        self._decode = one_of("decode", decode, ("whole", "fit"))
        if decode == "fit" and resize is not None:
            raise ValueError('decode="fit": only without resize=, which decodes to fit by itself')
        self._share = _share(len(samples), self.batch_size, self.shard, drop_last=drop_last)
        self.per_epoch = self._share.batches
        self._order: tuple[int, Array] | None = None

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {len(self._samples)} pictures, {self.per_epoch} batches of "
            f"{self.batch_size} an epoch, epochs={self.epochs} seed={self.seed} shard={self.shard}>"
        )

    def __len__(self) -> int:
        if self.epochs is None and self.per_epoch:
            raise TypeError("batches of endless epochs have no len(); per_epoch is that of one")
        return self.per_epoch * (self.epochs or 0)

    @overload
    def __getitem__(self, number: int) -> ReferenceBatch: ...
    @overload
    def __getitem__(self, number: slice) -> list[ReferenceBatch]: ...
    def __getitem__(self, number: int | slice) -> ReferenceBatch | list[ReferenceBatch]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        place = number
        if self.epochs is not None or not self.per_epoch:
            place = number + len(self) if number < 0 else number
            if not 0 <= place < len(self):
                raise IndexError(f"there are {len(self)} batches, so none with number {number}")
        elif place < 0:
            raise IndexError(f"endless batches have none with number {number}")
        epoch, batch = divmod(place, self.per_epoch)
        own = self.order(epoch)[self._share.rank :: self._share.world_size]
        numbers = own[self._share.bounds(batch)].tolist()
        samples = [self._samples[each] for each in numbers]
        return ReferenceBatch(
            tuple(sample.image for sample in samples),
            tuple(sample.labels for sample in samples),
            tuple(numbers),
            self._fit,
            self._on_unreadable,
            self._decode,
        )

    def order(self, epoch: int) -> Array:
        """The numbers of the pictures in the order of an epoch, of all ranks together."""
        known = self._order
        if known is None or known[0] != epoch:
            count = len(self._samples)
            places = shuffled(count, self.seed, epoch) if self._shuffle else np.arange(count)
            self._order = known = epoch, places
        return known[1]


def shuffled(count: int, *seed: int) -> Array:
    """The numbers below `count` in an order that depends on the seed alone, one number or more.

    The bits of Philox are the same in every version of NumPy, but those of `Generator.permutation`
    need not be: a run that is resumed somewhere else would read other pictures.
    """
    bits = np.random.Philox(np.random.SeedSequence(seed[0], spawn_key=seed[1:]))
    return np.argsort(bits.random_raw(count), kind="stable")


def _share(pictures: int, batch_size: int, shard: tuple[int, int], *, drop_last: bool) -> _Share:
    rank, world_size = shard
    if drop_last:
        count = pictures // (world_size * batch_size)
        return _Share(rank, world_size, batch_size, count, count * batch_size)
    count = -(-pictures // (world_size * batch_size))
    if pictures < count * world_size:
        raise ValueError(
            f"{world_size} ranks cannot have equally many batches of {batch_size} out of "
            f"{pictures} pictures: set drop_last=True, or take a batch_size of at least 2"
        )
    own = (pictures - rank + world_size - 1) // world_size
    return _Share(rank, world_size, batch_size, count, own)
