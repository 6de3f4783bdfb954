"""Tasks that take turns in an order that is known beforehand."""

from __future__ import annotations

import asyncio


class Turns:
    """Lets numbered tasks into something one after another, in their order from 1.

    Each leaves in the end, whether it was let in or not, so nobody waits for one that failed.
    """

    def __init__(self) -> None:
        self._next = 1
        self._left: set[int] = set()
        self._changed = asyncio.Event()

    async def wait(self, number: int) -> None:
        """Wait until all before this one have left."""
        while number > self._next:
            await self._changed.wait()

    async def leave(self, number: int) -> None:
        """Let the next one in; it may be said more than once."""
        if number >= self._next:
            self._left.add(number)
        while self._next in self._left:
            self._left.remove(self._next)
            self._next += 1
        self._changed.set()
        self._changed = asyncio.Event()
