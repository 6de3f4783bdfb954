"""All close forms. Importing this imports imgaug."""

from __future__ import annotations

from ..replacements import CLOSE
from . import clouds, flakes, jpeg, meshes, motion

__all__ = ["CLOSE", "clouds", "flakes", "jpeg", "meshes", "motion"]
