"""Sends chunks to an engine, tries again what failed, and decides what becomes of failures."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from .._base.results import BatchResult, Failure, Outcome, Skipped, Success
from .._worker.augmentation import Item, augment_chunk
from ..engines import Engine
from ..errors import BatchTimeout, ClosedError, TransportError, WorkerDied
from ..stats import Meter


class RetryingCaller:
    """Augments chunks of (index, batch) pairs; every batch gets a result.

    `engine` tells which engine is there when a chunk comes.

    A chunk that fails as a whole, because its worker died, it took too long or it could not be
    carried, is done again batch by batch, so that only the guilty one fails. A batch on its own
    whose worker died, or was killed since the batch took more than `timeout` seconds, is tried
    `retries` more times; it keeps its index, so the output is the same. What becomes of batches
    that failed is up to the policy.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        policy: FailurePolicy,
        *,
        retries: int,
        timeout: float | None,
        ordered: bool,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._retries = retries
        self._timeout = timeout
        self._ordered = ordered

    async def __call__(self, chunk: Sequence[Item]) -> Sequence[BatchResult[Any]]:
        outcomes = [
            _named(outcome, index)
            for outcome, (index, _) in zip(await self._outcomes(chunk), chunk, strict=True)
        ]
        return await self._policy.resolve(chunk, outcomes)

    async def _outcomes(self, chunk: Sequence[Item]) -> list[Outcome[Any]]:
        if len(chunk) > 1:
            try:
                return await self._submit(chunk)
            except (WorkerDied, BatchTimeout, TransportError):
                pass
        return [await self._one(item) for item in chunk]

    async def _one(self, item: Item) -> Outcome[Any]:
        tries_left = self._retries
        doing = f"augmenting batch {item[0]}"
        while True:
            try:
                (outcome,) = await self._submit([item])
            except (WorkerDied, BatchTimeout) as error:
                if tries_left:
                    tries_left -= 1
                    continue
                if isinstance(error, WorkerDied):
                    return Failure(WorkerDied(error.exitcode, doing, item[0]))
                return Failure(BatchTimeout(error.seconds, doing, item[0]))
            except TransportError as error:
                return Failure(error)
            return outcome

    async def _submit(self, chunk: Sequence[Item]) -> list[Outcome[Any]]:
        limit = None if self._timeout is None else self._timeout * len(chunk)
        # Out of order, no batch should wait for a slow one while another worker is idle.
        outcomes: list[Outcome[Any]] = await self._engine().submit(
            augment_chunk, chunk, ahead=self._ordered, limit=limit
        )
        return outcomes


def _named(outcome: Outcome[Any], index: int) -> Outcome[Any]:
    if isinstance(outcome, Failure):
        outcome.error.add_note(f"while augmenting batch {index}")
    return outcome


Handler = Callable[[int, Any, BaseException], Any]
OnError = Literal["raise", "skip"] | Handler


def check_on_error(on_error: object) -> None:
    """Raise `ValueError` or `TypeError` unless `on_error` is one of the three."""
    if isinstance(on_error, str):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")
    elif not callable(on_error):
        raise TypeError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")


class FailurePolicy:
    """Decides about each failure, and counts it."""

    def __init__(self, on_error: OnError, meter: Meter) -> None:
        self._on_error = on_error
        self._meter = meter

    async def resolve(
        self, chunk: Sequence[Item], outcomes: Sequence[Outcome[Any]]
    ) -> list[BatchResult[Any]]:
        """The outcomes, with the failures replaced by what is decided about them."""
        return [
            await self._decide(item, outcome)
            if isinstance(outcome, Failure) and not isinstance(outcome.error, ClosedError)
            else outcome
            for item, outcome in zip(chunk, outcomes, strict=True)
        ]

    async def _decide(self, item: Item, failure: Failure) -> BatchResult[Any]:
        self._meter.failures += 1
        if self._on_error == "raise":
            return failure
        if self._on_error == "skip":
            return Skipped()
        return await _decision(self._on_error, item, failure.error)


async def _decision(handler: Any, item: Item, error: BaseException) -> BatchResult[Any]:
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
