"""imgaug's global random number generator, one per thread where a thread asks for its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class _Private(threading.local):
    # A context variable would be copied into threads that asyncio starts, hence shared there.
    seed: int | None = None
    rng: Any = None


_private = _Private()


@contextmanager
def private_rng(seed: int) -> Iterator[None]:
    """Give this thread a global imgaug RNG of its own, as ``imgaug.random.seed(seed)`` leaves it.

    Other threads, and this one afterwards, go on with the RNG they had. An augmenter that was built
    without a seed holds on to the RNG that was global then: seed it, too (``augmenter.seed_``).
    """
    outer = _private.seed, _private.rng
    # The RNG is made at first use: a callable that has no use for imgaug need not import it.
    _private.seed, _private.rng = seed, None
    try:
        yield
    finally:
        _private.seed, _private.rng = outer


def seed_augmenter(augmenter: Any, seed: int) -> None:
    """``augmenter.seed_(seed)``, and for what that forgets.

    imgaug seeds the members of a children list, but not the list where it is itself an augmenter,
    as in ``Sometimes(0.5, Sequential([...], random_order=True))``: its RNG would go on from the
    batches before. Augmenters that imgaug does seed get imgaug's own numbers.
    """
    augmenter.seed_(seed)
    forgotten = list(_forgotten(augmenter))
    if forgotten:
        from imgaug.random import RNG

        rng = RNG(seed)
        for children in forgotten:
            children.random_state = rng.derive_rng_()


def _forgotten(augmenter: Any) -> Iterator[Any]:
    for children in augmenter.get_children_lists():
        if children is not augmenter and hasattr(children, "seed_") and not children.deterministic:
            yield children
        for child in children:
            yield from _forgotten(child)


def patch(random: ModuleType) -> None:
    """Make every look at the global RNG see the private one, where this thread has one."""
    get_shared: Callable[[], Any] = random.get_global_rng

    def get_global_rng() -> Any:
        if _private.seed is None:
            return get_shared()
        if _private.rng is None:
            _private.rng = random.RNG(_private.seed)
        return _private.rng

    random.get_global_rng = get_global_rng  # type: ignore[attr-defined]
