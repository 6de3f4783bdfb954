"""How many bytes of batches may be on a cluster at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ByteBudget:
    """Lets calls through while all of them together have no more than `most` bytes.

    They go in the order in which they came. One that is larger than all of it goes alone.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Have so many bytes during the block, and wait for them if need be."""
        await self._take(size)
        try:
            yield
        finally:
            self._give_back(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self.used += size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(size)  # they came in the moment of the cancellation
            else:
                self._waiting.remove((size, turn))
                self._serve()
            raise

    def _fits(self, size: int) -> bool:
        return self._most is None or not self.used or self.used + size <= self._most

    def _give_back(self, size: int) -> None:
        self.used -= size
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self.used += size
                turn.set_result(None)
