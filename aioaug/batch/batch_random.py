"""The random numbers of a batch: the same wherever its items are worked on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .rng import ITEM, ItemRandom, Key, key_of, make_rng, seed_sequence

if TYPE_CHECKING:
    from numpy.random import Generator, SeedSequence


class BatchRandom:
    """A seed and a generator, made when they are first asked for."""

    _lock: threading.RLock

    def _start_random(self) -> None:
        self._seed: SeedSequence | None = None
        self._generator: Generator | None = None
        self._calls = 0

    @property
    def random_seed(self) -> SeedSequence:
        """The seed of all random numbers; to be set with an int, a `SeedSequence` or a generator.

        A batch of a pipeline has one from there, any other a new one.
        """
        if self._seed is None:
            self._seed = seed_sequence()
        return self._seed

    @random_seed.setter
    def random_seed(self, value: Any) -> None:
        self._seed = seed_sequence(value)
        self._generator = make_rng(value if value is not None else self._seed)
        self._calls = 0

    @property
    def random(self) -> Generator:
        """The generator to draw from, the same numbers for the same seed.

        While a function works on an item of this batch, in whatever thread, task or process,
        it is a generator of that item's own, so the numbers do not depend on who comes first.
        """
        item = ITEM.get()
        if item is not None and self._is_at(item):
            return item.generator
        with self._lock:
            if self._generator is None:
                self._generator = make_rng(self.random_seed)
            return self._generator

    def _next_path(self) -> tuple[Key, tuple[int, ...]]:
        """The key of the seed, and the path of a call that works on items."""
        item = ITEM.get()
        if item is not None and self._is_at(item):
            return item.root, item.next_path()
        root = key_of(self.random_seed)
        with self._lock:
            self._calls += 1
            return root, (self._calls - 1,)

    def _is_at(self, item: ItemRandom) -> bool:
        return self._seed is None or key_of(self._seed) == item.root
