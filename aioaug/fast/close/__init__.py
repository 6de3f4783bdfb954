"""Close forms: they draw imgaug's numbers and do the same with them, but round elsewhere.

A module for each family; each says why its results are at most a grey level apart, or where not.
"""

from __future__ import annotations

# These come first: a close form is made upon the exact one, which does what it does not do itself.
from .. import families as exact_forms

__all__ = ["exact_forms"]
