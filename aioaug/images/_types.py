"""Names for the types that the modules of this package share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
# One random draw, by the names that Keras gives them: what `apply_transform` takes.
Plan: TypeAlias = dict[str, Any]
