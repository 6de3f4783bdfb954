"""The queue of loaded batches, with a bound and an end."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from queue import Empty
from typing import Any

from .._base.results import Outcome


class LoadedQueue:
    """The loaded batches of a `BatchLoader`, first in, first out, and `None` behind the last.

    At most `maxsize` batches wait in it. What a loader raised stands in its place and is raised
    by the `get` that comes to it.
    """

    def __init__(self, maxsize: int, check: Callable[[], None] = lambda: None) -> None:
        self.maxsize = maxsize
        self._check = check  # whether the one who asks may do so
        self._over = False
        self._loss: BaseException | None = None
        self._set_up()

    def _set_up(self) -> None:
        self._places = asyncio.Semaphore(self.maxsize)
        # None stands behind the last outcome. Who takes it puts it back for the next who asks.
        self._outcomes: asyncio.Queue[Outcome[Any] | None] = asyncio.Queue()

    def qsize(self) -> int:
        """How many batches wait; the `None` behind the last does not count."""
        return self._outcomes.qsize() - self._over

    def empty(self) -> bool:
        """Whether no batch waits."""
        return self.qsize() <= 0

    def full(self) -> bool:
        """Whether `maxsize` batches wait."""
        return self.qsize() >= self.maxsize

    async def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """The next batch, or `None`, again and again, when all have been taken.

        Raises `queue.Empty` if there is none at once without `block`, or after `timeout` seconds.
        Cancelled or timed out, it loses nothing.
        """
        self._check()
        if not block:
            return self.get_nowait()
        try:
            async with asyncio.timeout(timeout):
                outcome = await self._outcomes.get()
        except builtins.TimeoutError:
            raise Empty from None
        return self._hand_out(outcome)

    def get_nowait(self) -> Any:
        """The next batch, or `None` behind the last; raises `queue.Empty` if there is none yet."""
        try:
            return self._hand_out(self._outcomes.get_nowait())
        except asyncio.QueueEmpty:
            raise Empty from None

    async def reserve(self) -> None:
        """Wait for a free place; `put` or `cancel` has to follow."""
        await self._places.acquire()

    def cancel(self) -> None:
        """Give up a place that was reserved."""
        self._places.release()

    def put(self, outcome: Outcome[Any]) -> None:
        """Fill a place that was reserved."""
        if not self._over:
            self._outcomes.put_nowait(outcome)

    def end(self, *, drop: bool = False) -> None:
        """Nothing comes any more; with `drop`, what waits is dropped. Idempotent."""
        if drop:
            self._loss = None
        while drop and not self.empty():
            self._outcomes.get_nowait()
        if not self._over:
            self._over = True
            self._outcomes.put_nowait(None)

    def abandon(self, loss: BaseException) -> None:
        """Have everybody who comes get `loss`: the event loop that filled it is closed."""
        self._set_up()
        self._loss = loss
        self._over = True
        self._outcomes.put_nowait(None)

    async def aclose(self) -> None:
        """Take nothing more in, and drop what waits. Idempotent."""
        self.end(drop=True)

    def _hand_out(self, outcome: Outcome[Any] | None) -> Any:
        if outcome is None:
            self._outcomes.put_nowait(None)
            if self._loss is not None:
                raise self._loss
            return None
        self._places.release()
        return outcome.unwrap()
