"""What a call of an augmenter costs besides its work, for pictures without labels.

imgaug converts all columns of a batch back and forth, those that are empty included, which takes
longer than a small picture. So every augmenter of imgaug's has a form here, also where its work
is imgaug's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from imgaug import augmenters
from imgaug.augmentables.batches import UnnormalizedBatch, _BatchInAugmentation
from imgaug.augmentables.normalization import invert_normalize_images
from imgaug.augmentables.utils import copy_augmentables
from imgaug.augmenters import meta, pillike

from .replacements import FASTER, Faster, replaces

PICTURES = "images_unaug"


class AsInImgaug(Faster):
    """A form whose work is imgaug's."""


def augment_batch_(self: Any, batch: Any, parents: Any = None, hooks: Any = None) -> Any:
    """imgaug's method; pictures in the form that it works with are taken and given as they are."""
    augment: Any = meta.Augmenter.augment_batch_
    if type(batch) is not UnnormalizedBatch or not _has_only_pictures(batch):
        return augment(self, batch, parents, hooks)
    inside = _BatchInAugmentation(images=copy_augmentables(batch.images_unaug))
    done = augment(self, inside, parents, hooks).images
    batch.images_aug = invert_normalize_images(done, batch.images_unaug)
    return batch


def _has_only_pictures(batch: Any) -> bool:
    images = batch.images_unaug
    if isinstance(images, list):
        is_usual = all(isinstance(image, np.ndarray) and image.ndim == 3 for image in images)
    else:
        is_usual = isinstance(images, np.ndarray) and images.ndim == 4
    others = (name for name, value in vars(batch).items() if value is not None)
    return is_usual and set(others) <= {PICTURES, "data"}


def give_to_all() -> None:
    """Have all faster augmenters called this way, and give the others a form for it."""
    for module in (augmenters, pillike):
        for kind in vars(module).values():
            is_augmenter = isinstance(kind, type) and issubclass(kind, meta.Augmenter)
            if is_augmenter and kind is not meta.Augmenter and kind.__name__[0] != "_":
                if kind not in FASTER:
                    replaces(kind)(AsInImgaug)
                FASTER[kind].augment_batch_ = augment_batch_  # type: ignore[attr-defined]
