"""The random numbers of batches and of their items."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .._base.seeding import make_rng, seed_sequence

Key = tuple[Any, tuple[int, ...]]
T = TypeVar("T")


def key_of(seed: np.random.SeedSequence) -> Key:
    """What two seeds have in common if their numbers are the same."""
    return seed.entropy, tuple(seed.spawn_key)


def seed_at(root: Key, path: tuple[int, ...]) -> np.random.SeedSequence:
    """The seed that belongs to a path below the seed of this key."""
    return np.random.SeedSequence(root[0], spawn_key=root[1] + path)


class ItemRandom:
    """What `batch.random` is while one item is worked on: a stream of the item's own.

    It depends on `root`, the key of the batch's seed, and `path`, the call's number and the item's
    position, so not on who does the work, nor on when.
    """

    def __init__(self, root: Key, path: tuple[int, ...]) -> None:
        self.root = root
        self.path = path
        self._calls = itertools.count()

    @cached_property
    def generator(self) -> np.random.Generator:
        """The item's generator, made when it is first asked for."""
        return make_rng(seed_at(self.root, self.path))

    def next_path(self) -> tuple[Key, tuple[int, ...]]:
        """The key of the seed, and the path of a call that the item's own function makes."""
        return self.root, (*self.path, next(self._calls))


# The item that this thread, task or worker works on.
ITEM: ContextVar[ItemRandom | None] = ContextVar("aioaug-item", default=None)


class BatchRandom:
    """A batch's seed and generator, made when they are first asked for, and its calls' numbers.

    What several threads ask for at once is made in one step, so that they all get the same.
    """

    def __init__(self, seed: Any = None) -> None:
        if seed is not None:
            self._seed, self._generator = seed_sequence(seed), make_rng(seed)
        self._calls = iter(range(sys.maxsize))

    @property
    def seed(self) -> np.random.SeedSequence:
        """What all random numbers depend on."""
        return self._once("_seed", seed_sequence)

    @property
    def generator(self) -> np.random.Generator:
        """The item's generator while one of this batch is worked on, otherwise the batch's."""
        item = self._item()
        return item.generator if item else self._once("_generator", lambda: make_rng(self.seed))

    def next_path(self) -> tuple[Key, tuple[int, ...]]:
        """The key of the seed, and the path of a call that works on items."""
        item = self._item()
        return item.next_path() if item else (key_of(self.seed), (next(self._calls),))

    def _once(self, name: str, make: Callable[[], T]) -> T:
        own: dict[str, T] = vars(self)
        return own[name] if name in own else own.setdefault(name, make())

    def _item(self) -> ItemRandom | None:
        item, seed = ITEM.get(), vars(self).get("_seed")
        return item if item and (seed is None or key_of(seed) == item.root) else None
