"""Iterators that `fit`, `evaluate` and `predict` of Keras take, if the program has imported it."""

from __future__ import annotations

import functools
import sys

from .iterator import ImageIterator


def iterator_class() -> type[ImageIterator]:
    """`ImageIterator`, as a `keras.utils.PyDataset` or `Sequence` of each Keras that is imported.

    Keras takes nothing else for a data set, and is not to be imported here for those who do not use
    it.
    """
    return _derived(_bases())


def _bases() -> tuple[type, ...]:
    # One of these is `tensorflow.keras`, too. Keras 3 has its `PyDataset` under both names.
    found = [sys.modules.get(name) for name in ("keras", "tf_keras")]
    bases = [getattr(getattr(one, "utils", None), "Sequence", None) for one in found]
    return tuple(base for base in bases if base is not None)


@functools.cache
def _derived(bases: tuple[type, ...]) -> type[ImageIterator]:
    if not bases:
        return ImageIterator
    name, text = ImageIterator.__name__, ImageIterator.__doc__
    return type(
        name, (ImageIterator, *bases), {"__module__": ImageIterator.__module__, "__doc__": text}
    )
