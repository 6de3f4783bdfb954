"""Batch index -> random seeds, in `imgaug.multicore.Pool`'s own numbers.

For the pool's seed `s` and batch `i`, with M = 2**31 - 1: the augmenter is seeded with
`(s + i) mod M` and the global generator with `(s + i - 10**9) mod M` (imgaug 0.4.0,
`multicore._reseed_global_local`). They depend on nothing else, so a batch looks the same in every
worker and at every try.
"""

from __future__ import annotations

import operator
import random
import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from .arguments import whole

if TYPE_CHECKING:
    import numpy as np

SEED_LIMIT = 2**31 - 1
_GLOBAL_OFFSET = -(10**9)
_the_generators = threading.Lock()


class Seeds(NamedTuple):
    """The two numbers of one batch."""

    augmenter: int
    library: int


def batch_seeds(seed: int, index: int) -> Seeds:
    """The seeds of batch `index` (counted from 0) under the pool's `seed`."""
    return Seeds((seed + index) % SEED_LIMIT, (seed + index + _GLOBAL_OFFSET) % SEED_LIMIT)


def seeds_of(entropy: Sequence[int]) -> Seeds:
    """Seeds that follow from some numbers, unlike those of any other numbers."""
    import numpy as np

    first, second = np.random.SeedSequence(entropy).generate_state(2)
    return Seeds(int(first) % SEED_LIMIT, int(second) % SEED_LIMIT)


def check_seed(seed: int | None) -> int:
    """Return `seed` as an int in [0, 2**31 - 1], or draw one from the system for `None`."""
    if seed is None:
        return secrets.randbelow(SEED_LIMIT)
    return whole("seed", seed, low=0, high=SEED_LIMIT)


class IndexAllocator:
    """Counts batches, so that no two of one pool share an index."""

    def __init__(self, start: int = 0) -> None:
        self.next = start

    def allocate(self, count: int = 1) -> int:
        """Take `count` indices in a row and return the first."""
        first = self.next
        self.next += count
        return first

    def give_back(self, first: int, count: int = 1) -> None:
        """Return indices in a row whose batches nobody got.

        It counts only for the newest ones. Without it the index after an early exit would
        depend on how far ahead the stream had read, that is on timing.
        """
        if first == self.next - count:
            self.next = first


class PlannedIndices(IndexAllocator):
    """The indices that batches are to have, whatever a pool has augmented before."""

    def __init__(self, indices: Iterator[int]) -> None:
        self._indices = indices
        super().__init__(next(indices))

    def allocate(self, count: int = 1) -> int:
        """Take the next one; `count` is 1, as indices need not be in a row."""
        index, self.next = self.next, next(self._indices)
        return index

    def give_back(self, first: int, count: int = 1) -> None:
        """The plan does not change."""


@contextmanager
def borrowed_generators(seeds: Seeds) -> Iterator[None]:
    """Seed the generators that all code of this interpreter shares, and restore them at the end.

    Only one caller at a time can have them.
    """
    import numpy as np

    with _the_generators:
        before, before_numpy = random.getstate(), np.random.get_state()
        try:
            seed_generators(seeds)
            yield
        finally:
            random.setstate(before)
            np.random.set_state(before_numpy)


def seeded_generators(seeds: Seeds, *, owned: bool) -> AbstractContextManager[None]:
    """Seed these generators for a body: `borrowed_generators`, unless all of them are its own."""
    if not owned:
        return borrowed_generators(seeds)
    seed_generators(seeds)
    return nullcontext()


def seed_generators(seeds: Seeds) -> None:
    """Seed the generators that any augmenter may draw from: `random`, `numpy.random`, OpenCV's."""
    import numpy as np

    random.seed(seeds.library)
    np.random.seed(seeds.augmenter)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setRNGSeed(seeds.augmenter)  # each thread has one


def make_rng(seed: Any = None) -> np.random.Generator:
    """A generator for a seed: an int, a `SeedSequence`, or a generator, which passes as it is.

    `None` takes entropy of the system. The numbers are those of `SFC64(seed)`.
    """
    import numpy as np

    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, np.random.BitGenerator):
        return np.random.Generator(seed)
    return np.random.Generator(np.random.SFC64(seed_sequence(seed)))


def seed_sequence(seed: Any = None) -> np.random.SeedSequence:
    """The `SeedSequence` of a seed: an int, a `SeedSequence`, a generator, or `None` for a new one.

    A `RandomState` is drawn from, so each time it gives another one.

    Raises `TypeError` for anything else, and `ValueError` for a negative number.
    """
    import numpy as np

    seed = seed.bit_generator if isinstance(seed, np.random.Generator) else seed
    if isinstance(seed, np.random.RandomState):
        return np.random.SeedSequence(seed.randint(2**32, size=4, dtype=np.uint32).tolist())
    if isinstance(seed, np.random.BitGenerator):
        origin = seed.seed_seq  # of another kind where it was made of words of its own
        seed = origin if isinstance(origin, np.random.SeedSequence) else None
    if seed is None or isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence() if seed is None else seed
    try:
        number = operator.index(seed)
    except TypeError:
        kinds = "an int, a SeedSequence or a Generator"
        raise TypeError(f"a seed must be {kinds}, got {seed!r}") from None
    if number < 0:
        raise ValueError(f"a seed must not be negative, got {number}")
    return np.random.SeedSequence(number)
