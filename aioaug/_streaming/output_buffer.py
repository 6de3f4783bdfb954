"""`output_buffer_size`: how many batches may exist between a stream's source and its consumer."""

from __future__ import annotations

import asyncio
import sys
from itertools import islice
from typing import Any, Literal

from .._base.arguments import whole_or_none
from .._base.results import Failure, Skipped
from ..engines.limits import AUTO_BUFFERED, AUTO_BYTES, CALLS_PER_WORKER

BufferSize = int | Literal["auto"] | None

# The weight of the newest batch in the mean size, and how many items of a list are looked at.
_WEIGHT = 0.125
_LOOKED_AT = 32


class OutputBuffer:
    """Permits for batches: one is taken for each before it is read, and given back behind it."""

    def __init__(self, limit: int | None) -> None:
        self.size: BufferSize = limit
        self._permits = asyncio.Semaphore(sys.maxsize if limit is None else limit)

    def locked(self) -> bool:
        """Whether no permit could be taken at once."""
        return self._permits.locked()

    async def acquire(self) -> None:
        """Take a permit."""
        await self._permits.acquire()

    def release(self) -> None:
        """Give one back."""
        self._permits.release()

    def note(self, result: Any) -> None:
        """A batch came augmented."""


class AutoOutputBuffer(OutputBuffer):
    """As many batches as keep the workers busy, and more of them if they are small.

    How large they are is seen from the results, so there are few before the first one has come.
    """

    def __init__(self, workers: int, chunksize: int) -> None:
        self._least = CALLS_PER_WORKER * workers * chunksize + 1  # one is the consumer's
        self._most = max(self._least, AUTO_BUFFERED * workers * chunksize)
        super().__init__(self._least)
        self.size = "auto"
        self._limit = self._least
        self._bytes = AUTO_BYTES * workers
        self._mean = 0.0
        self._surplus = 0  # permits to be taken back when they are released

    def release(self) -> None:
        if self._surplus:
            self._surplus -= 1
        else:
            super().release()

    def note(self, result: Any) -> None:
        size = bytes_in(result)
        self._mean = size if not self._mean else self._mean + _WEIGHT * (size - self._mean)
        fitting = int(self._bytes / max(self._mean, 1.0))
        limit = min(max(fitting, self._least), self._most)
        self._surplus += max(0, self._limit - limit)
        for _ in range(limit - self._limit):
            self.release()
        self._limit = limit


def open_buffer(size: BufferSize, workers: int, chunksize: int) -> OutputBuffer:
    """The permits for `output_buffer_size`; `ValueError` or `TypeError` if it is out of range."""
    if size == "auto":
        return AutoOutputBuffer(workers, chunksize)
    if isinstance(size, str):
        raise ValueError(f"output_buffer_size must be a number, 'auto' or None, got {size!r}")
    return OutputBuffer(whole_or_none("output_buffer_size", size, low=0) or None)


def bytes_in(value: Any, depth: int = 3) -> int:
    """About how many bytes the arrays of a batch have; of many items, the first ones tell."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if not depth or isinstance(value, (str, Failure, Skipped)):
        return 0
    parts = value
    if not isinstance(value, (list, tuple)):
        parts = (value if isinstance(value, dict) else getattr(value, "__dict__", {})).values()
    looked_at = tuple(islice(parts, _LOOKED_AT))
    size = sum(bytes_in(part, depth - 1) for part in looked_at)
    return size * len(parts) // max(len(looked_at), 1)
