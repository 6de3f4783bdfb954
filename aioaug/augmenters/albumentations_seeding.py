"""Seeds for Albumentations' pipelines, picture by picture."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

from .albumentations_releases import GeneratorsOfCalls, is_albumentations, library_of, release_of

# What Albumentations' `set_random_seed` does is known if it uses no other names than these: it
# makes two generators of the seed, and has each transform do the same.
_SEEDING = frozenset(
    (
        *("seed", "np", "random", "default_rng", "random_generator", "Random", "py_random"),
        *("transforms", "isinstance", "BasicTransform", "BaseCompose", "set_random_seed"),
    )
)


class PipelineSeeding:
    """`set_random_seed` of a pipeline, in half the time or less, and with the same numbers.

    That makes two generators for each transform, each time out of the same seed, or copies of the
    pipeline's. Here the transforms keep theirs, and get the state that follows from the seed.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._parts: list[Part] | None = None

    def seed(self, seed: int) -> None:
        """Have the pipeline draw the numbers of this seed."""
        import numpy as np

        if not self._parts or not all(part.is_seeded_here() for part in self._parts):
            self._pipeline.set_random_seed(seed)
            if self._parts != []:
                self._parts = _parts_of(self._pipeline, seed)
            return
        state = np.random.PCG64(seed).state
        for part in self._parts:
            part.seed(seed, state)


class Part:
    """A pipeline or a transform, with the generators that it was just seeded with."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._generator = owner.random_generator
        self._py_random = owner.py_random

    def has(self, seed: int) -> bool:
        """Whether the generators are those of this seed, and nothing has been drawn."""
        import numpy as np

        return bool(
            self._generator.bit_generator.state == np.random.PCG64(seed).state
            and self._py_random.getstate() == random.Random(seed).getstate()
        )

    def is_seeded_here(self) -> bool:
        """Whether `seed` does what `set_random_seed` would do in this thread."""
        return True

    def seed(self, seed: int, state: Any) -> None:
        """Have it draw the numbers of this seed, from which this state follows."""
        self._generator.bit_generator.state = state
        self._py_random.seed(seed)
        self._tell_owner(seed)

    def _tell_owner(self, seed: int) -> None:
        # A transform may have got others from another one meanwhile.
        owner = self._owner
        owner.seed, owner.random_generator, owner.py_random = seed, self._generator, self._py_random


class Root(Part):
    """A part that copies generators which it is given, and has others in each thread.

    In AlbumentationsX, that is the pipeline, and what is in it draws from its generators.
    """

    def is_seeded_here(self) -> bool:
        """Whether it still has the generators, for this thread."""
        owner = self._owner
        return bool(
            owner._configured_random_generator is self._generator
            and owner._configured_py_random is self._py_random
            and owner._rng_source_thread_id == threading.get_ident()
        )

    def _tell_owner(self, seed: int) -> None:
        self._owner.seed = self._owner._base_seed = seed


def _parts_of(pipeline: Any, seed: int) -> list[Part]:
    """The parts of a pipeline that was seeded; none, if the library has another way to do it."""
    library = library_of(type(pipeline).set_random_seed)
    if isinstance(release_of(library), GeneratorsOfCalls):
        parts: list[Part] = [Root(pipeline)]
    else:
        everything = [*_all_in(pipeline)]
        if not all(map(_is_seeded_as_known, everything)):
            return []
        parts = [*map(Part, everything)]
    return parts if all(part.has(seed) for part in parts) else []


def _all_in(pipeline: Any) -> Iterator[Any]:
    """A pipeline, and all transforms and groups of them that are in it."""
    yield pipeline
    for each in filter(is_albumentations, getattr(pipeline, "transforms", ())):
        yield from _all_in(each)


def _is_seeded_as_known(owner: Any) -> bool:
    code = getattr(type(owner).set_random_seed, "__code__", None)
    return code is not None and _SEEDING.issuperset(code.co_names)
