"""Random generators: one kind, SFC64, made from seeds that have children."""

from __future__ import annotations

import operator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.random import Generator, SeedSequence


def make_rng(seed: Any = None) -> Generator:
    """A generator for a seed: an int, a `SeedSequence`, or a generator, which passes as it is.

    `None` takes entropy of the system. The numbers are those of `SFC64(seed)`.
    """
    import numpy as np

    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, np.random.BitGenerator):
        return np.random.Generator(seed)
    return np.random.Generator(np.random.SFC64(seed_sequence(seed)))


def seed_sequence(seed: Any = None) -> SeedSequence:
    """The `SeedSequence` of a seed: an int, a `SeedSequence`, a generator, or `None` for a new one.

    Raises `TypeError` for anything else, and `ValueError` for a negative number.
    """
    import numpy as np

    if seed is None or isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence() if seed is None else seed
    if isinstance(seed, np.random.Generator):
        seed = seed.bit_generator
    if isinstance(seed, np.random.BitGenerator):
        origin = seed.seed_seq
        return origin if isinstance(origin, np.random.SeedSequence) else np.random.SeedSequence()
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(
            f"a seed must be an int, a SeedSequence or a Generator, got {seed!r}"
        ) from None
    if number < 0:
        raise ValueError(f"a seed must not be negative, got {number}")
    return np.random.SeedSequence(number)


Key = tuple[Any, tuple[int, ...]]


def key_of(seed: SeedSequence) -> Key:
    """What two seeds have in common if their numbers are the same."""
    return seed.entropy, tuple(seed.spawn_key)


class ItemRandom:
    """What `batch.random` is while one item is worked on: a stream of the item's own.

    It depends on `root`, the key of the batch's seed, and `path`, the number of the call and the
    position of the item, so not on who does the work, nor on when.
    """

    def __init__(self, root: Key, path: tuple[int, ...]) -> None:
        self.root = root
        self.path = path
        self._generator: Generator | None = None
        self._calls = 0

    @property
    def generator(self) -> Generator:
        """The item's generator, made when it is first asked for."""
        import numpy as np

        if self._generator is None:
            entropy, path = self.root
            self._generator = make_rng(np.random.SeedSequence(entropy, spawn_key=path + self.path))
        return self._generator

    def next_path(self) -> tuple[int, ...]:
        """The path of a call that the item's own function makes."""
        self._calls += 1
        return (*self.path, self._calls - 1)


# The item that this thread, task or worker is at work on.
ITEM: ContextVar[ItemRandom | None] = ContextVar("aioaug-item", default=None)
