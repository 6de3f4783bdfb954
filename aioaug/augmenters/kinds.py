"""The kinds of augmenters: those of imgaug, callables, and pipelines of other libraries."""

from __future__ import annotations

from typing import Any

from .._base.arguments import check_not_async
from .albumentations import AlbumentationsPipeline
from .albumentations_releases import is_albumentations
from .per_picture import PerPicture
from .torch_modules import TorchModule, is_torch


def is_imgaug(augmenter: Any) -> bool:
    """Whether `augmenter` has the interface of imgaug's augmenters."""
    return hasattr(augmenter, "augment_batch_") and hasattr(augmenter, "seed_")


def check_augmenter(augmenter: Any) -> None:
    """Raise `TypeError` unless `augmenter` is an imgaug augmenter or a callable."""
    if isinstance(augmenter, type) and is_imgaug(augmenter):
        name = augmenter.__name__
        raise TypeError(f"augseq must be an augmenter, got the class {name}; pass {name}(...)")
    if not is_imgaug(augmenter) and not callable(augmenter):
        raise TypeError(
            f"augseq must be an imgaug augmenter or a callable, got {type(augmenter).__name__}"
        )
    check_not_async("augseq", augmenter)


def adapted(augmenter: Any) -> Any:
    """What a pool runs for `augmenter`: itself, but for a pipeline of another library."""
    if is_albumentations(augmenter):
        return AlbumentationsPipeline(augmenter)
    return TorchModule(augmenter) if is_torch(augmenter) else augmenter


def takes_forms(augmenter: Any) -> bool:
    """Whether `augmenter` wants batches of the forms of `batch_forms`, and not just anything."""
    return is_imgaug(augmenter) or isinstance(adapted(augmenter), PerPicture)
