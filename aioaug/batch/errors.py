"""The error of calls that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import AioaugError


class ParallelError(AioaugError, RuntimeError):
    """Some items failed. The cause is the first one's exception, which notes say the item of.

    `errors` are the exceptions of all that failed, by the position of the item.
    """

    def __init__(self, message: str, errors: dict[int, Exception]) -> None:
        super().__init__(message, errors)
        self.errors = errors

    def __str__(self) -> str:
        count = len(self.errors)
        position, error = next(iter(self.errors.items()))
        kind = type(error).__name__
        which = f"item {position}" if count == 1 else f"{count} items, the first of them {position}"
        return f"{self.args[0]}: {which}: {kind}: {error}"


def failures(results: Sequence[Any]) -> dict[int, Exception]:
    """The exceptions among results, by position."""
    return {n: result for n, result in enumerate(results) if isinstance(result, Exception)}
