"""All close forms. Importing this imports imgaug."""

from __future__ import annotations

from .. import families
from ..replacements import CLOSE
from . import clouds, filters, flakes, jpeg, meshes, motion, shifts

__all__ = ["CLOSE", "clouds", "families", "filters", "flakes", "jpeg", "meshes", "motion", "shifts"]
