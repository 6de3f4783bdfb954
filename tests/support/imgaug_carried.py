"""Callables with augmenters inside that tests send to worker processes."""

from __future__ import annotations

import warnings

from aioaug._worker.augmentation import Augmentation
from imgaug_trees import digest


class Calling:
    """A callable that augments by an augmenter, and never seeds it."""

    def __init__(self, augmenter):
        self._augmenter = augmenter

    def __call__(self, images):
        return self._augmenter(images=images)


class Each:
    """A callable that augments by many augmenters, each as in a pool of its own."""

    def __init__(self, augmenters, seed):
        self._states = {
            name: Augmentation(augmenter, seed, owns_interpreter=True)
            for name, augmenter in augmenters.items()
        }

    def __call__(self, call):
        name, index, batch = call
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return digest(self._states[name](index, batch))
            except Exception as error:
                return digest(error)
