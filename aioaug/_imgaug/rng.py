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
    copied: Any = None  # a copy of the global generator, whose holders get the private one


class _Shared:
    generator: Any = None  # the global one of all threads, from imgaug's import on


_private = _Private()
_shared = _Shared()


def private_rng(seed: int) -> AbstractContextManager[None]:
    """Give this thread a global imgaug RNG of its own, as ``imgaug.random.seed(seed)`` leaves it.

    What was built without a seed, whenever that was, draws from it meanwhile. Other threads, and
    this one afterwards, go on with the RNG they had.
    """
    # It is made at first use: a callable that has no use for imgaug need not import it.
    return _global_rng(seed)


@contextmanager
def _global_rng(seed: int, generator: Any = None, copied: Any = None) -> Iterator[None]:
    outer = _private.seed, _private.generator, _private.copied
    _private.seed, _private.generator, _private.copied = seed, generator, copied
    try:
        yield
    finally:
        _private.seed, _private.generator, _private.copied = outer


class Portable:
    """Something with augmenters inside that is copied or pickled for workers.

    An augmenter that was built without a seed holds imgaug's global generator. Its copy holds a
    copy of it, and would go on drawing from there whatever is seeded. So copies of this know which
    generator that is.
    """

    _copied: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_copied": self._copied or _current()}

    def private_rng(self, seed: int) -> AbstractContextManager[None]:
        """The function of this name, for augmenters inside as well."""
        return _global_rng(seed, copied=self._copied)

    def localize(self, augmenter: Any) -> None:
        """Do to an augmenter inside what `imgaug.multicore.Pool` does to it in a new worker.

        It tells only where `deterministic` was set by hand: such an augmenter keeps for all
        batches what it gets here, derived from the global generator as that was in the parent.
        """
        if self._copied is not None:
            with _global_rng(0, copy.deepcopy(self._copied), self._copied):
                augmenter.localize_random_state_()


def seed_augmenter(augmenter: Any, seed: int) -> None:
    """``augmenter.seed_(seed)``, and for what that forgets.

    imgaug seeds the members of a children list, but not the list where it is itself an augmenter,
    as in ``Sometimes(0.5, OneOf([...]))``. As a rule it is on the global generator, which is seeded
    for each batch. With one of its own, by ``seed=`` or as a copy, it would go on from the batches
    that this worker happened to have before.
    """
    augmenter.seed_(seed)
    own = [lst for lst in _forgotten(augmenter) if not lst.random_state.is_global_rng()]
    if own:
        from imgaug.random import RNG

        rng = RNG(seed)
        for children in own:
            children.random_state = rng.derive_rng_()


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
    """Have whoever is on the global generator draw from the private one, where there is one."""
    get_shared: Any = random.get_global_rng
    # It is there before anybody asks for it. Otherwise what a thread builds meanwhile would hold
    # the generator of one batch for ever.
    rng = random.GLOBAL_RNG or random.RNG(0)
    _shared.generator = rng.generator

    def get_global_rng() -> Any:
        if random.GLOBAL_RNG is None and _private.seed is None:
            # imgaug seeds it from numpy.random now, and not earlier.
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

    random.get_global_rng = get_global_rng
    random.RNG.generator = property(get_generator, set_generator)
    random.RNG.__getstate__ = __getstate__
