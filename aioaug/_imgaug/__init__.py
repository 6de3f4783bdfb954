"""Makes imgaug 0.4.0 (February 2020) and its fork imaug work with the libraries of today.

Nothing is imported for that: each module is patched when the user's program imports it.
"""

from __future__ import annotations

from typing import Any

from .hook import Hook
from .patches import IMAGECORRUPTIONS, IMAUG, IMGAUG
from .rng import Portable, private_rng, seed_augmenter

__all__ = ["Portable", "install", "is_known", "private_rng", "quokka", "seed_augmenter"]

_IMGAUG_HOOK = Hook("imgaug", (IMGAUG, IMAUG))
_HOOKS = (_IMGAUG_HOOK, Hook("imagecorruptions", (IMAGECORRUPTIONS,)))


def install() -> None:
    """Make imgaug 0.4 work; modules that are loaded already are patched now. Idempotent."""
    for hook in _HOOKS:
        hook.install()


def is_known() -> bool:
    """Whether the imgaug that this program has imported is one that is patched here."""
    return _IMGAUG_HOOK.found is not None


def quokka(size: tuple[int, int] | None = None) -> Any:
    """imgaug's example, a photograph (H,W,3) of `uint8`; the fork imaug has moved the function."""
    import imgaug

    return getattr(imgaug, "data", imgaug).quokka(size=size)
