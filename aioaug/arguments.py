"""Checks of arguments at the door: the error names the argument and the value."""

from __future__ import annotations

import operator


def whole(name: str, value: object, *, low: int | None = None, high: int | None = None) -> int:
    """Return `value` as an int from `low` to `high`; `TypeError` or `ValueError` if it is not."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if low is not None and number < low:
        raise ValueError(f"{name} must be at least {low}, got {number}")
    if high is not None and number > high:
        raise ValueError(f"{name} must be at most {high}, got {number}")
    return number


def whole_or_none(name: str, value: object, *, low: int, high: int | None = None) -> int | None:
    """Like `whole`, but `None` passes."""
    return None if value is None else whole(name, value, low=low, high=high)
