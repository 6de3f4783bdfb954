"""What loaders and augmenters that run ahead have in common: how they are used and left."""

from __future__ import annotations

from typing import Any, Self

from .._aio.loops import LoopResource
from .._aio.tasks import AsyncBatches
from ..errors import ClosedError

LOST = "the event loop that this was begun on was closed, and what was under way is lost"


class BackgroundIterator(LoopResource, AsyncBatches):
    """Batches by `get_batch` or `async for`, started by the first of them, ended by `terminate`.

    It lives on the event loop of the first use. What was begun there cannot go on when that loop is
    closed: then requests raise `ClosedError`, up to `terminate`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lost = False

    async def start(self) -> None:
        """Start all workers. Idempotent, and without effect after the end."""
        raise NotImplementedError

    async def get_batch(self) -> Any:
        """The next batch, or `None`, again and again, when there are no more."""
        raise NotImplementedError

    async def terminate(self) -> None:
        """End at once. Idempotent; cancelled, it finishes first."""
        raise NotImplementedError

    async def __anext__(self) -> Any:
        batch = await self.get_batch()
        if batch is None:
            raise StopAsyncIteration
        return batch

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await self.terminate()

    def _claim(self) -> None:
        """Belong to the running loop; if the loop before is closed, end what was begun there."""
        if self._home.claim():
            ends = tuple(self._abandon())
            if ends:
                self._lost = self._over = True
                self._home.clean_up(*ends)

    def _check(self) -> None:
        """The same, for a request: raise `ClosedError` if what was begun is lost."""
        self._claim()
        if self._lost:
            raise ClosedError(LOST)
