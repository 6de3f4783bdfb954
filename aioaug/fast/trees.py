"""Rewrites trees of augmenters, in place or as a copy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from .replacements import FASTER


def exact(augmenter: Any) -> Any:
    """A copy of an imgaug augmenter that gives the same bytes for the same seed, in less time.

    Random numbers are drawn as before, from the same generators: an augmenter without a seed of its
    own draws from imgaug's global one. What has no faster form is copied as it is, and so is every
    class of your own. The copy can be pickled, copied and seeded like any augmenter, and given to
    pools.

    Raises:
        TypeError: `augmenter` is not one of imgaug's.

    Example::

        augmenter = aioaug.fast.exact(iaa.Sequential([iaa.Fliplr(0.5), iaa.Multiply((0.8, 1.2))]))
        images = augmenter(images=images)
    """
    from imgaug.augmenters.meta import Augmenter
    from imgaug.random import get_global_rng

    if not isinstance(augmenter, Augmenter):
        raise TypeError(f"augmenter must be one of imgaug's, got {type(augmenter).__name__}")
    shared = get_global_rng().generator
    copied = copy.deepcopy(augmenter, {id(shared): shared})
    rewrite(copied)
    return copied


def rewrite(augmenter: Any) -> None:
    """Make a tree of augmenters faster, in place, and the parameters that they draw from."""
    for found in objects_in(augmenter):
        faster = FASTER.get(type(found))
        if faster is not None:
            found.__class__ = faster


def objects_in(augmenter: Any) -> Iterator[Any]:
    """An augmenter and all that it consists of, each once, in the order of the tree."""
    from . import families

    seen: set[int] = set()
    open_ends = [augmenter]
    while open_ends:
        found = open_ends.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        open_ends.extend(reversed(list(_parts(found, families.NODES))))


def _parts(found: Any, nodes: tuple[type, ...]) -> Iterator[Any]:
    """What an object of imgaug's consists of; of other objects nothing, but for containers."""
    if isinstance(found, (list, tuple)):
        yield from found
    elif isinstance(found, dict):
        yield from found.values()
    if isinstance(found, nodes):
        yield from vars(found).values()
