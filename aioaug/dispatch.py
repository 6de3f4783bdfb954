"""Chunks to an engine and back: retries, and blame for the right batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._augment import Item, augment_chunk
from .engines import Engine
from .errors import TransportError, WorkerDied
from .outcomes import Failure, Outcome


class Dispatcher:
    """Augments chunks of (index, batch) pairs on an engine; every batch gets an outcome.

    A chunk that fails as a whole, because its worker died or it could not be carried, is done
    again batch by batch, so that only the guilty one fails. A batch on its own whose worker died
    is tried `retries` more times; it keeps its index, so the output is the same.
    """

    def __init__(self, engine: Engine, retries: int, *, ordered: bool) -> None:
        self._engine = engine
        # Out of order, no batch should wait for a slow one while another worker is idle.
        self._ahead = ordered
        self._retries = retries

    async def __call__(self, chunk: Sequence[Item]) -> list[Outcome[Any]]:
        if len(chunk) == 1:
            return [await self._one(chunk[0])]
        try:
            outcomes = await self._engine.submit(augment_chunk, chunk, ahead=self._ahead)
        except (WorkerDied, TransportError):
            return [await self._one(item) for item in chunk]
        return [_named(outcome, index) for outcome, (index, _) in zip(outcomes, chunk, strict=True)]

    async def _one(self, item: Item) -> Outcome[Any]:
        index = item[0]
        tries_left = self._retries
        while True:
            try:
                (outcome,) = await self._engine.submit(augment_chunk, [item], ahead=self._ahead)
            except WorkerDied as error:
                if tries_left:
                    tries_left -= 1
                    continue
                outcome = Failure(WorkerDied(error.exitcode, f"augmenting batch {index}", index))
            except TransportError as error:
                outcome = Failure(error)
            return _named(outcome, index)


def _named(outcome: Outcome[Any], index: int) -> Outcome[Any]:
    if isinstance(outcome, Failure):
        outcome.error.add_note(f"while augmenting batch {index}")
    return outcome
