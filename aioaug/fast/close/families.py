"""All close forms. Importing this imports imgaug."""

from __future__ import annotations

from ..replacements import CLOSE
from . import meshes

__all__ = ["CLOSE", "meshes"]
