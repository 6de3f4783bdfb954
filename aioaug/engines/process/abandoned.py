"""Work that goes on although nobody waits for it any more, and the workers that it keeps busy."""

from __future__ import annotations

import asyncio
from typing import Any

from ..._transport.messages import Reply
from ...stats import Meter
from ..assignment import Assignment
from ..scheduler import Scheduler
from .worker import Worker


class AbandonedWork:
    """Ends workers that have been busy with abandoned work for `seconds`, if others want them.

    `None` is never. That is looked at when a call begins to wait for a worker of the scheduler;
    `enforce` has to be called when a worker goes on to its next work.
    """

    def __init__(self, seconds: float | None, scheduler: Scheduler[Any]) -> None:
        self._seconds = seconds
        self._scheduler = scheduler
        self._meter = Meter()
        self._overdue: dict[Assignment[Reply], Worker] = {}
        self._not_begun: dict[Assignment[Reply], Worker] = {}  # sent ahead to a busy worker
        scheduler.waited = self.enforce

    def note(self, work: Assignment[Reply], worker: Worker, meter: Meter) -> None:
        """Nobody waits for this any more."""
        self._meter = meter
        meter.abandoned += 1
        if self._seconds is None:
            return
        if worker.working_on is work:
            self._begin(work, worker)
        else:
            self._not_begun[work] = worker

    def enforce(self) -> None:
        """End the workers that are in the way."""
        for work, worker in tuple(self._not_begun.items()):
            if work.over or worker.working_on is work:
                del self._not_begun[work]
                self._begin(work, worker)
        for work, worker in tuple(self._overdue.items()):
            if work.over:
                del self._overdue[work]
            elif self._scheduler.wanted or worker.awaited:  # as by what was sent there ahead
                del self._overdue[work]
                self._meter.killed += 1
                worker.end_abandoned()

    def _begin(self, work: Assignment[Reply], worker: Worker) -> None:
        if not work.over and self._seconds is not None:
            loop = asyncio.get_running_loop()
            work.timers.append(loop.call_later(self._seconds, self._due, work, worker))

    def _due(self, work: Assignment[Reply], worker: Worker) -> None:
        self._overdue[work] = worker
        self.enforce()
