"""Where batches come from: one way to ask for the next, whatever holds them."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from anyio.lowlevel import checkpoint

from ._threads import DaemonExecutor

# How long the end of a stream waits for a loader that is in the middle of a batch, in seconds.
PATIENCE = 0.5
_END = object()


class Source(Protocol):
    """Batches one after the other. `pull` and `aclose` are called from the same task."""

    async def pull(self) -> Any:
        """The next batch; raises `StopAsyncIteration` after the last."""

    async def aclose(self) -> None:
        """Release what the source holds: a generator's `finally` runs now."""


def open_source(batches: Any) -> Source:
    """The source behind a list, an iterable or iterator of either kind, or a generator."""
    if isinstance(batches, (list, tuple)):
        return _ListSource(batches)
    if isinstance(batches, AsyncIterable):
        return _AsyncSource(batches)
    # An array and a string can be iterated, but what comes out is never what was meant.
    no_source = isinstance(batches, (str, bytes, dict)) or hasattr(batches, "dtype")
    if isinstance(batches, Iterable) and not no_source:
        return _ThreadSource(batches)
    raise TypeError(
        "batches must be a list, an iterable, a generator or an async generator of batches, "
        f"got {type(batches).__name__}"
    )


class _ListSource:
    """What is in memory already needs no thread."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = iter(batches)

    async def pull(self) -> Any:
        await checkpoint()
        for batch in self._batches:
            return batch
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._batches = iter(())


class _AsyncSource:
    """An async iterable; one that never waits still lets other tasks have their turn."""

    def __init__(self, batches: AsyncIterable[Any]) -> None:
        self._batches = batches
        self._iterator: AsyncIterator[Any] | None = None

    async def pull(self) -> Any:
        await checkpoint()
        if self._iterator is None:
            self._iterator = aiter(self._batches)
        return await anext(self._iterator)

    async def aclose(self) -> None:
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()


class _ThreadSource:
    """A blocking iterable, pulled in one thread of its own, so that a slow loader stalls nobody.

    The same thread also closes it: generators may hold things that belong to their thread.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches
        self._iterator: Iterator[Any] | None = None
        self._thread = DaemonExecutor(1, "aioaug-source")

    async def pull(self) -> Any:
        batch = await asyncio.wrap_future(self._thread.submit(self._next))
        if batch is _END:
            raise StopAsyncIteration
        return batch

    async def aclose(self) -> None:
        closing = asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)
        await asyncio.wait((closing,), timeout=PATIENCE)
        if closing.done():
            closing.result()
            return
        closing.add_done_callback(_forget)
        warnings.warn(
            f"a batch source is still busy after {PATIENCE} s; it is closed when it returns",
            ResourceWarning,
            stacklevel=2,
        )

    def _next(self) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._batches)
        return next(self._iterator, _END)

    def _close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


def _forget(future: asyncio.Future[Any]) -> None:
    with suppress(BaseException):
        future.result()
