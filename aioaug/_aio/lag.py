"""How late an event loop is: a timer that is due again and again, and how late it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter


class LoopLag:
    """Tells by how many seconds each tick of the running loop was late, until it is stopped.

    The next tick is due a `period` after the last one came, so a loop that stood still is told of
    once.
    """

    def __init__(self, period: float, tell: Callable[[float], object]) -> None:
        self._period = period
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._set()

    def stop(self) -> None:
        """End the ticking. Idempotent."""
        self._stopped = True
        self._timer.cancel()

    def _set(self) -> None:
        self._due = perf_counter() + self._period
        self._timer = self._loop.call_later(self._period, self._tick)

    def _tick(self) -> None:
        self._tell(max(0.0, perf_counter() - self._due))
        if not self._stopped:  # `tell` may have done that
            self._set()


class LagNotes:
    """Notes what a `LoopLag` tells, a thousand times a second if nothing holds up the loop."""

    def __init__(self, period: float = 0.001) -> None:
        self._late: list[float] = []
        self._lag = LoopLag(period, self._late.append)

    def stop(self) -> list[float]:
        """End it; returns what was noted, in seconds."""
        self._lag.stop()
        return self._late
