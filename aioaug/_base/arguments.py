"""Checks of arguments: the error names the argument and the value."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import AsyncIterator, Collection
from typing import TypeVar

T = TypeVar("T")


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


def check_async_iterator(name: str, value: object) -> None:
    """Raise `TypeError` unless `value` can be taken from with `anext`."""
    if not isinstance(value, AsyncIterator):
        raise TypeError(
            f"{name} must be an async iterator, as imap_batches returns it, got {value!r}"
        )


def check_not_async(name: str, function: object) -> None:
    """Raise `TypeError` for an `async def`, where no event loop runs that could await it."""
    for each in (function, type(function).__call__):
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise TypeError(
                f"{name} must not be async, got {function!r}: workers have no event loop; await "
                "in the source of the batches, or behind the stream, and give an ordinary function"
            )


def seconds_or_none(name: str, value: object) -> float | None:
    """Return `value` as a positive, finite float, or `None`; else `TypeError` or `ValueError`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, got {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be more than 0 and finite, got {value!r}")
    return float(value)


def shard_or_default(name: str, value: object) -> tuple[int, int]:
    """Return `value` as `(rank, world_size)`, which is (0, 1) for `None`."""
    if value is None:
        return 0, 1
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"{name} must be (rank, world_size), got {value!r}")
    world_size = whole(f"the world_size of {name}", value[1], low=1)
    return whole(f"the rank of {name}", value[0], low=0, high=world_size - 1), world_size


def whole_or_none(name: str, value: object, *, low: int, high: int | None = None) -> int | None:
    """Like `whole`, but `None` passes."""
    return None if value is None else whole(name, value, low=low, high=high)


def one_of(name: str, value: T, choices: Collection[object]) -> T:
    """Return `value`, or raise `ValueError` if it is not one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
