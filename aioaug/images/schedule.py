"""Which samples make which batch of which epoch: a pure function of the seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._pictures import Array
from .arrays import ArraySource
from .file_source import FileSource
from .sample_rows import BatchJob
from .settings import GeneratorSettings

_SHUFFLE = 2**32 - 1  # keeps the order's random numbers apart from those of samples


class Schedule:
    """The epochs of a source, cut into batches.

    With `full_batches` the last one goes on with the epoch's first samples; otherwise it is what is
    left. With `ends` a loop ends with an epoch; otherwise epochs follow each other.
    """

    def __init__(
        self,
        source: ArraySource | FileSource,
        generator: GeneratorSettings,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        ends: bool,
        full_batches: bool,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.ends = ends
        self._full_batches = full_batches
        self._generator = generator
        self._started_with = generator.normalization
        self._order: tuple[int, Array] | None = None

    def __len__(self) -> int:
        return -(-len(self.source) // self.batch_size)

    def started(self) -> None:
        """Workers start now, with the generator as it is."""
        self._started_with = self._generator.normalization

    def order(self, epoch: int) -> Array:
        """The samples of an epoch, one after the other."""
        size = len(self.source)
        if not self.shuffle:
            return np.arange(size)
        known = self._order
        if known is None or known[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch, _SHUFFLE))
            self._order = known = epoch, rng.permutation(size)
        return known[1]

    def job(self, epoch: int, batch: int) -> BatchJob:
        """One batch to be made; reads the rows of arrays."""
        first = batch * self.batch_size
        order = self.order(epoch)
        places = np.arange(first, first + self.batch_size)
        places = places % len(order) if self._full_batches else places[places < len(order)]
        found = self._generator.normalization
        changed = None if found is self._started_with else found
        rows = self.source.read(order[places].tolist())
        return BatchJob(self.seed, epoch, batch, first, rows, changed)

    def jobs(self, epoch: int, batch: int, *, endless: bool) -> Iterator[BatchJob]:
        """The batches from there to the end of the epoch, or through all epochs to come."""
        while True:
            for number in range(batch, len(self)):
                yield self.job(epoch, number)
            if not endless:
                return
            epoch, batch = epoch + 1, 0
