"""Iterators that `fit`, `evaluate` and `predict` of Keras take, if the program has imported it."""

from __future__ import annotations

import functools
import sys
from contextlib import suppress

from .iterator import ImageIterator


def iterator_class() -> type[ImageIterator]:
    """`ImageIterator`, as a `keras.utils.PyDataset` or `Sequence` of each Keras that is imported.

    Keras takes nothing else for a data set, and is not to be imported here for those who do not use
    it.
    """
    return _derived(tuple(dict.fromkeys(_bases())))


def _bases() -> list[type]:
    found = [sys.modules.get("keras"), sys.modules.get("tf_keras")]
    with suppress(Exception):  # TensorFlow imports its Keras when it is first asked for
        found.append(sys.modules["tensorflow"].keras)
    bases = [getattr(getattr(one, "utils", None), "Sequence", None) for one in found]
    return [base for base in bases if base is not None]


@functools.cache
def _derived(bases: tuple[type, ...]) -> type[ImageIterator]:
    if not bases:
        return ImageIterator
    name, text = ImageIterator.__name__, ImageIterator.__doc__
    return type(
        name, (ImageIterator, *bases), {"__module__": ImageIterator.__module__, "__doc__": text}
    )
