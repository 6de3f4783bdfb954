"""Chunks to an engine and back: retries, and blame for the right batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._augment import Item, augment_chunk
from .engines import Engine
from .errors import BatchTimeout, TransportError, WorkerDied
from .outcomes import Failure, Outcome, Verdict
from .policy import Policy

# Batches that take less time than a message to a worker does share one.
_QUICK_AT_ONCE = 8


class Dispatcher:
    """Augments chunks of (index, batch) pairs; every batch gets a verdict.

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
        policy: Policy,
        *,
        retries: int,
        timeout: float | None,
        ordered: bool,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._retries = retries
        self._timeout = timeout
        # Out of order, no batch should wait for a slow one while another worker is idle; and the
        # time that a batch takes has to begin when it is sent.
        self._ahead = ordered and timeout is None

    @property
    def at_once(self) -> int:
        """How many batches it pays to send together, as they are now."""
        return _QUICK_AT_ONCE if self._ahead and self._engine().quick else 1

    async def __call__(self, chunk: Sequence[Item]) -> Sequence[Verdict[Any]]:
        outcomes = [
            _named(outcome, index)
            for outcome, (index, _) in zip(await self._outcomes(chunk), chunk, strict=True)
        ]
        return await self._policy.judge(chunk, outcomes)

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
        outcomes: list[Outcome[Any]] = await self._engine().submit(
            augment_chunk, chunk, ahead=self._ahead, limit=limit
        )
        return outcomes


def _named(outcome: Outcome[Any], index: int) -> Outcome[Any]:
    if isinstance(outcome, Failure):
        outcome.error.add_note(f"while augmenting batch {index}")
    return outcome
