"""The only place that knows the age of imgaug 0.4.0 (February 2020), and of what came with it.

It makes it work on the NumPy that is installed. Nothing is imported for that: the mending waits for
the user's own ``import imgaug``.
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
    """Make imgaug 0.4 work, however often this is called; what is loaded already is mended now."""
    for hook in _HOOKS:
        hook.install()
