"""The batches of a dataset as a sequence that can be read from anywhere on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from .._base.arguments import one_of, whole_or_none
from .._pictures import Array
from .buckets import BucketedSizes
from .decoding import ReferenceBatch
from .fitting import Fit
from .orders import EpochOrder


class DatasetBatches(Sequence[ReferenceBatch]):
    """The batches of a dataset, epoch after epoch: a source for `AsyncPool.imap_batches`.

    They can be read from any number on, so a stream that is resumed reads nothing twice. `len` is
    their number in all epochs, `per_epoch` that in one; endless ones have no `len`. `seed` is the
    seed of the order, also where none was given. `shard` is the rank and number of ranks, from
    which a pool numbers the batches so that no two ranks draw the same random numbers.

    With buckets, whoever asks first for a batch, `len`, `per_epoch` or `order` waits until the
    sizes of all pictures are known, see `PictureDataset.sizes`. A stream asks in a thread.
    """

    def __init__(
        self,
        samples: Sequence[Any],
        order: EpochOrder,
        fit: Fit | BucketedSizes,
        epochs: int | None = 1,
        on_unreadable: Literal["raise", "skip"] = "raise",
        decode: Literal["whole", "fit"] = "whole",
    ) -> None:
        self.epochs = whole_or_none("epochs", epochs, low=0)
        self.batch_size = order.batch_size
        self.seed = order.seed
        self.shard = order.shard
        self._samples = samples
        self._order = order
        self._fit = fit
        self._on_unreadable = one_of("on_unreadable", on_unreadable, ("raise", "skip"))
        self._decode = one_of("decode", decode, ("whole", "fit"))
        if decode == "fit" and fit != Fit():
            raise ValueError('decode="fit": only without resize= and buckets=, which do so, too')

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {len(self._samples)} pictures in batches of "
            f"{self.batch_size}, epochs={self.epochs} seed={self.seed} shard={self.shard}>"
        )

    @property
    def per_epoch(self) -> int:
        """How many batches there are in an epoch."""
        return self._order.per_epoch

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
        numbers = self._order.numbers(epoch, batch)
        samples = [self._samples[each] for each in numbers.tolist()]
        return ReferenceBatch(
            tuple(sample.image for sample in samples),
            tuple(sample.labels for sample in samples),
            tuple(numbers.tolist()),
            self._fit if isinstance(self._fit, Fit) else self._fit.fit(numbers),
            self._on_unreadable,
            self._decode,
        )

    def order(self, epoch: int) -> Array:
        """The numbers of the pictures in the order of an epoch, of all ranks together.

        Those that come in no batch, with `drop_last`, are the last ones.
        """
        return self._order.of_all_ranks(epoch)
