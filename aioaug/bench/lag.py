"""How late an event loop is: a timer that is due every millisecond, and how late it comes."""

from __future__ import annotations

import asyncio
from time import perf_counter

PERIOD = 0.001


class Ticker:
    """Notes by how many seconds each tick of the running loop was late."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._set()

    def stop(self) -> list[float]:
        """End the ticking; returns what was noted."""
        self._timer.cancel()
        return self.late

    def _set(self) -> None:
        self._due = perf_counter() + PERIOD
        self._timer = self._loop.call_later(PERIOD, self._tick)

    def _tick(self) -> None:
        self.late.append(max(0.0, perf_counter() - self._due))
        self._set()
