"""Rewrites trees of augmenters, in place or as a copy."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .replacements import FASTER

RELEASE = "0.4.0"  # imaug, for example, gives other bytes, and draws other numbers


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
    return _rewritten_copy(augmenter, close=False)


def accelerate(augmenter: Any) -> Any:
    """A copy of an imgaug augmenter like that of `exact`, with close forms where there are some.

    They draw the same random numbers and compute the same, but round elsewhere: in pictures of
    `uint8`, 99.9 % of the values differ by one grey level at most. The documentation lists them,
    and what differs by more. All else is exact.

    Raises:
        TypeError: `augmenter` is not one of imgaug's, or of another release than 0.4.0, such as
            imaug.

    Example::

        augmenter = aioaug.fast.accelerate(iaa.Sequential([iaa.PiecewiseAffine(0.03)]))
        images = augmenter(images=images)
    """
    return _rewritten_copy(augmenter, close=True)


def _rewritten_copy(augmenter: Any, close: bool) -> Any:
    from imgaug.random import get_global_rng

    if not is_of_imgaug(augmenter):
        raise TypeError(f"augmenter must be one of imgaug's, got {type(augmenter).__name__}")
    if close:
        check_release("use aioaug.fast.exact, which copies other releases as they are")
    shared = get_global_rng().generator
    copied = copy.deepcopy(augmenter, {id(shared): shared})
    rewrite(copied, close=close)
    return copied


def is_of_imgaug(augmenter: Any) -> bool:
    """Whether it is an augmenter of imgaug's, or of a class made of those; imports nothing."""
    names = ((kind.__module__, kind.__name__) for kind in type(augmenter).__mro__)
    return ("imgaug.augmenters.meta", "Augmenter") in names


def draws_from_its_own(augmenter: Any) -> bool:
    """Whether it draws only from generators of imgaug's, as all of it is imgaug's."""
    if not is_of_imgaug(augmenter):
        return False  # without an import of imgaug, as below
    import imgaug

    if imgaug.__version__ != RELEASE:
        return False
    from . import parts

    return parts.draws_from_its_own(augmenter)


def check_release(remedy: str) -> None:
    """Raise `TypeError` where imgaug is a release or a fork without close forms."""
    import imgaug

    if imgaug.__version__ != RELEASE:
        raise TypeError(
            f"accelerate: there are close forms of imgaug {RELEASE} only, and this is "
            f"{imgaug.__version__}; {remedy}"
        )


def rewrite(augmenter: Any, close: bool = False) -> None:
    """Make a tree of augmenters faster, in place, and the parameters that they draw from.

    With `close` what has a close form gets it, also if it is of the exact form already. What is not
    of imgaug's stays as it is, and so does all of its forks.
    """
    if not is_of_imgaug(augmenter):
        return  # without an import of imgaug, which need not be installed
    import imgaug

    if imgaug.__version__ != RELEASE:
        return
    from .parts import change_classes

    change_classes(augmenter, _forms(close))


def _forms(close: bool) -> Mapping[type, type]:
    """Which class becomes which."""
    if not close:
        return FASTER
    from .close.families import CLOSE

    return {**FASTER, **CLOSE}
