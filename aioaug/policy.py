"""What becomes of a batch that failed: its error is raised, it is left out, or somebody decides."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from ._augment import Item
from .errors import ClosedError
from .outcomes import Failure, Outcome, Skipped, Success, Verdict
from .stats import Meter

Handler = Callable[[int, Any, BaseException], Any]
OnError = Literal["raise", "skip"] | Handler


def check_on_error(on_error: object) -> None:
    """Raise `ValueError` or `TypeError` unless `on_error` is one of the three."""
    if isinstance(on_error, str):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")
    elif not callable(on_error):
        raise TypeError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")


class Policy:
    """Decides about each failure, and counts it."""

    def __init__(self, on_error: OnError, meter: Meter) -> None:
        self._on_error = on_error
        self._meter = meter

    async def judge(
        self, chunk: Sequence[Item], outcomes: Sequence[Outcome[Any]]
    ) -> list[Verdict[Any]]:
        """The outcomes, with the failures replaced by what is decided about them."""
        return [
            await self._verdict(item, outcome)
            if isinstance(outcome, Failure) and not isinstance(outcome.error, ClosedError)
            else outcome
            for item, outcome in zip(chunk, outcomes, strict=True)
        ]

    async def _verdict(self, item: Item, failure: Failure) -> Verdict[Any]:
        self._meter.failures += 1
        if self._on_error == "raise":
            return failure
        if self._on_error == "skip":
            return Skipped()
        return await _decision(self._on_error, item, failure.error)


async def _decision(handler: Any, item: Item, error: BaseException) -> Verdict[Any]:
    index, batch = item
    try:
        replacement = handler(index, batch, error)
        if inspect.isawaitable(replacement):
            replacement = await _awaited(replacement)
    except Exception as verdict:
        return Failure(verdict)
    return Skipped() if replacement is None else Success(replacement)


async def _awaited(decision: Awaitable[Any]) -> Any:
    return await decision
