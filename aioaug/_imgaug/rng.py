"""imgaug's global random number generator, one per thread where a thread asks for its own."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


class _Private(threading.local):
    # A context variable would be copied into threads that asyncio starts, hence shared there.
    seed: int | None = None
    generator: Any = None  # made of the seed at first use
    copied: Any = None  # a copy of the global generator; its users get the private one, too


class _Shared:
    generator: Any = None  # the global one of all threads, from imgaug's import on


_private = _Private()
_shared = _Shared()


def private_rng(seed: int) -> AbstractContextManager[None]:
    """Give this thread a global imgaug RNG of its own, as ``imgaug.random.seed(seed)`` leaves it.

    Meanwhile, in this thread, all augmenters without a seed draw from it, whenever they were built.
    Other threads, and this one afterwards, go on with the RNG that they had.
    """
    # It is made at first use, so a callable that does not use imgaug need not import it.
    return _global_rng(seed)


@contextmanager
def _global_rng(seed: int, generator: Any = None, copied: Any = None) -> Iterator[None]:
    outer = _private.seed, _private.generator, _private.copied
    _private.seed, _private.generator, _private.copied = seed, generator, copied
    try:
        yield
    finally:
        _private.seed, _private.generator, _private.copied = outer


def is_private() -> bool:
    """Whether this thread has a global RNG of its own now."""
    return _private.seed is not None


class Portable:
    """An object that holds augmenters, and that is copied or pickled for workers.

    An augmenter that was built without a seed refers to imgaug's global generator. A copy of the
    augmenter refers to a copy of that generator, which nobody seeds. So a copy of this object knows
    that generator, and `private_rng` replaces it as well.
    """

    _copied: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_copied": self._copied or _current()}

    def private_rng(self, seed: int) -> AbstractContextManager[None]:
        """As the function of this name, and for the augmenters that this object holds."""
        return _global_rng(seed, copied=self._copied)

    def localize(self, augmenter: Any) -> None:
        """Do to an augmenter what `imgaug.multicore.Pool` does to it in a new worker.

        This matters only if its `deterministic` was set by hand: then it keeps for all batches the
        generator that it gets here, which is derived from the parent's global generator.
        """
        if self._copied is not None:
            with _global_rng(0, copy.deepcopy(self._copied), self._copied):
                augmenter.localize_random_state_()


def seed_augmenter(augmenter: Any, seed: int) -> None:
    """Do what ``augmenter.seed_(seed)`` does, and seed what that leaves out.

    imgaug seeds the members of a list of children, but not the list if it is an augmenter itself,
    as in ``Sometimes(0.5, OneOf([...]))``. Usually such a list draws from the global generator,
    which is seeded for each batch. If it has a generator of its own, by ``seed=`` or because it is
    a copy, its numbers would depend on which batches this worker had before.
    """
    from imgaug.augmenters.meta import Augmenter
    from imgaug.random import RNG

    _seed(augmenter, seed, Augmenter.seed_, RNG)
    own = [lst for lst in _forgotten(augmenter) if not lst.random_state.is_global_rng()]
    if own:
        rng = RNG(seed)
        for children in own:
            children.random_state = rng.derive_rng_()


def _seed(augmenter: Any, seed: Any, plain_way: Any, rng_class: Any) -> None:
    """What `Augmenter.seed_` does with a number or an `RNG` of its own, in two thirds of the time.

    imgaug copies the generator for each augmenter, also where no child needs it any more.
    """
    if getattr(type(augmenter), "seed_", None) is not plain_way:  # a class of a user's own
        augmenter.seed_(seed)
        return
    rng = seed if isinstance(seed, rng_class) else rng_class(seed)
    children = [child for each in augmenter.get_children_lists() for child in each]
    if not augmenter.deterministic:
        augmenter.random_state = rng.copy() if children else rng
    for child in children:
        _seed(child, rng.derive_rng_(), plain_way, rng_class)


def _forgotten(augmenter: Any) -> Iterator[Any]:
    for children in augmenter.get_children_lists():
        if children is not augmenter and hasattr(children, "seed_") and not children.deterministic:
            yield children
        for child in children:
            yield from _forgotten(child)


def _current() -> Any:
    """The global generator of this thread; `None` as long as imgaug is not imported."""
    if _private.seed is None or _shared.generator is None:
        return _shared.generator
    if _private.generator is None:
        from imgaug.random import convert_seed_to_generator

        _private.generator = convert_seed_to_generator(_private.seed)
    return _private.generator


def patch(random: Any) -> None:
    """Let users of the global generator draw from the private one of their thread, if any."""
    get_shared: Any = random.get_global_rng
    # It must exist before anybody asks for it. Otherwise an augmenter that a thread builds while it
    # augments would use the generator of one batch for ever.
    rng = random.GLOBAL_RNG or random.RNG(0)
    _shared.generator = rng.generator

    def get_global_rng() -> Any:
        if random.GLOBAL_RNG is None and _private.seed is None:
            # imgaug seeds it from numpy.random at its first use, not earlier.
            _shared.generator.bit_generator.state = get_shared().state
            random.GLOBAL_RNG = rng
        return rng

    def get_generator(self: Any) -> Any:
        own = vars(self)["generator"]
        if own is not _shared.generator and own is not _private.copied:
            return own
        if _private.seed is None:
            get_global_rng()
        return _current()

    def set_generator(self: Any, value: Any) -> None:
        is_private = value is _private.generator and value is not None
        vars(self)["generator"] = _shared.generator if is_private else value

    def __getstate__(self: Any) -> dict[str, Any]:
        return {**vars(self), "generator": self.generator}

    _make_copying_fast(random)
    random.get_global_rng = get_global_rng
    random.RNG.generator = property(get_generator, set_generator)
    random.RNG.__getstate__ = __getstate__


def _make_copying_fast(random: Any) -> None:
    """Let `imgaug.random` copy and derive generators, of which batches need many, in less time."""
    seed_sequence, generator_of = random.np.random.SeedSequence, random.np.random.Generator

    class Unmixed(seed_sequence):  # type: ignore[misc, valid-type]
        """A seed for generators whose state is set at once: it is not computed, only there."""

        def generate_state(self, n_words: int, dtype: Any = random.np.uint32) -> Any:
            return random.np.ones(n_words, dtype)

        def __reduce__(self) -> Any:
            return seed_sequence, (1,)  # generators keep it, and may be unpickled where we are not

    unmixed = Unmixed(1)

    def copy_generator(generator: Any) -> Any:
        # imgaug copies the state twice, and computes a seed for each generator.
        bits = type(generator.bit_generator)(unmixed)
        bits.state = generator.bit_generator.state
        return generator_of(bits)

    def derive_generators_(generator: Any, n: int) -> list[Any]:
        # imgaug makes a seed to spawn those seeds from, and that takes a third of the time.
        limits = random.SEED_MIN_VALUE, random.SEED_MAX_VALUE
        seed = generator.integers(*limits, dtype="int32", size=(2,))[-1]
        seeds = (seed_sequence(seed, spawn_key=(place,)) for place in range(n))
        return [generator_of(random.BIT_GENERATOR(each)) for each in seeds]

    random._copy_generator_np117 = copy_generator
    random._derive_generators_np117_ = derive_generators_
