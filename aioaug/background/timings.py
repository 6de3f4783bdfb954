"""Timings on standard output, for `profile=True`."""

from __future__ import annotations

import sys
from time import perf_counter

from .._aio.tasks import end_in_thread
from .._base.threads import DaemonExecutor


class TimingLog:
    """Writes lines of timings in a thread, since whoever reads them may be slow."""

    def __init__(self, name: str, *, wanted: bool) -> None:
        self._name = name
        self._wanted = wanted
        self._thread = DaemonExecutor(1, "aioaug-report")

    def write(self, **seconds: float) -> None:
        """One line, if it is wanted: each word with its time in milliseconds."""
        if self._wanted:
            timings = ", ".join(f"{word} {1000 * spent:.2f} ms" for word, spent in seconds.items())
            self._thread.submit(_write, f"{self._name}: {timings}\n")

    async def aclose(self) -> None:
        """Wait until all is written; nothing can be written any more."""
        self._wanted = False
        await end_in_thread(self._thread.shutdown)


def since(begun: float) -> float:
    """The seconds since `begun`, of `time.perf_counter`."""
    return perf_counter() - begun


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
