"""Augmenters of several kinds, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._base.seeding import SEED_LIMIT, batch_seeds
from ..augmenters import batch_forms
from ..augmenters.kinds import check_augmenter
from .augmentation import Augmentation


def chain(*augmenters: Any) -> Callable[..., Any]:
    """One augmenter for pools that runs several, each on what the one before returned.

    They may be of any kind that a pool takes: imgaug's, pipelines of Albumentations, modules of
    PyTorch, callables `batch -> batch`, or `per_image(...)`. Batches keep their form in between.
    Each is seeded by itself, so that two equal ones draw different numbers.

    Raises:
        TypeError: one of them is none of these.
        ValueError: there are none.
    """
    if not augmenters:
        raise ValueError("chain needs at least one augmenter")
    for augmenter in augmenters:
        check_augmenter(augmenter)
    return Chain(augmenters)


class Chain:
    """What `chain` makes: a callable `(batch, rng) -> batch`."""

    def __init__(self, augmenters: tuple[Any, ...]) -> None:
        self._steps = [Augmentation(augmenter, 0) for augmenter in augmenters]

    def __call__(self, batch: Any, rng: Any) -> Any:
        result = batch
        for step in self._steps:
            seeds = batch_seeds(int(rng.integers(SEED_LIMIT)), 0)
            result = step.run(batch_forms.as_input(result), seeds)
        return batch_forms.with_originals(result, batch)
