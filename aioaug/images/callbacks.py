"""The user's functions: called with those of the keywords that they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._base.signatures import accepts
from ._types import Array

KEYWORDS = ("class_id", "filename", "batch_index", "batch_class_ids", "batch_filenames")


class Callback:
    """A function `(params, x, **some of KEYWORDS) -> x` for one picture."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function
        self._wanted = [name for name in KEYWORDS if accepts(function, name)]

    def __call__(self, params: Any, x: Any, told: dict[str, Any]) -> Any:
        result = self._function(params, x, **{name: told[name] for name in self._wanted})
        if result is None:
            raise TypeError(f"{self._name} returned None instead of the picture")
        return result


def check_callback(name: str, function: object) -> None:
    """Raise `TypeError` unless `function` is `None` or callable."""
    if function is not None and not callable(function):
        raise TypeError(f"{name} must be a function, got {type(function).__name__}")


def check_batch(result: object) -> tuple[Array, Array]:
    """The images and labels that a `get_batch_function` returned, or `TypeError`."""
    match result:
        case (_, (np.ndarray() as x, np.ndarray() as y)):
            return x, y
    raise TypeError(
        "get_batch_function must return (batch_index, (x, y)), got " + type(result).__name__
    )
