"""The two kinds of augmenters: those of imgaug, and callables."""

from __future__ import annotations

from typing import Any

from .._base.arguments import check_not_async


def is_imgaug(augmenter: Any) -> bool:
    """Whether `augmenter` has the interface of imgaug's augmenters."""
    return hasattr(augmenter, "augment_batch_") and hasattr(augmenter, "seed_")


def check_augmenter(augmenter: Any) -> None:
    """Raise `TypeError` unless `augmenter` is an imgaug augmenter or a callable."""
    if not is_imgaug(augmenter) and not callable(augmenter):
        raise TypeError(
            f"augseq must be an imgaug augmenter or a callable, got {type(augmenter).__name__}"
        )
    check_not_async("augseq", augmenter)
