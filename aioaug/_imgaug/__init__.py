"""Makes imgaug 0.4.0 (February 2020) work with the libraries of today.

Nothing is imported for that: each module is patched when the user's program imports it.
"""

from __future__ import annotations

from .hook import Hook
from .patches import IMPORTS, PATCHES
from .rng import Portable, private_rng, seed_augmenter

__all__ = ["Portable", "install", "private_rng", "seed_augmenter"]

_HOOKS = (
    Hook("imgaug", "0.4.0", PATCHES, IMPORTS),
    Hook("imagecorruptions", "", PATCHES, IMPORTS),
)


def install() -> None:
    """Make imgaug 0.4 work; modules that are loaded already are patched now. Idempotent."""
    for hook in _HOOKS:
        hook.install()
