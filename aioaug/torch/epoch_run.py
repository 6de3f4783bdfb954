"""The pool and the stream of a loader, and what its workers do for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import torch

from .._aio.tasks import AsyncBatches
from ..augmenters.array_format import ArrayFormat
from ..data.items import Outgoing
from ..pool import AsyncPool
from .epochs import Share
from .tensor_stream import DTYPES, TensorStream, tensors


class EpochRun:
    """The pool and the stream of a loader, on one event loop."""

    def __init__(self, augseq: Any, pool: dict[str, Any], buffer: Any, how: dict[str, Any]) -> None:
        self._augseq = augseq
        self._options = pool
        self._buffer = buffer
        self._how = how
        self._pool: AsyncPool | None = None
        self._stream: TensorStream | None = None
        self._next = -1  # the position of what the stream gives next

    def check(self) -> None:
        """Raise what is wrong with the options."""
        pool = AsyncPool(self._augseq, **self._options)
        tensors(pool.imap_batches([], 1, self._buffer), **self._how)

    async def batch(self, share: Share, position: int) -> Any:
        """The batch at this position. The stream goes on, or begins there."""
        if self._pool is None or self._pool.closed:
            self._pool = AsyncPool(self._augseq, **self._options)
            self._stream = None
        if self._stream is None or self._next != position:
            if self._stream is not None:
                await self._stream.aclose()
            stream = self._pool.planned_stream(
                share.source(position), self._buffer, share.numbers(position)
            )
            self._stream, self._next = tensors(stream, **self._how), position
        try:
            batch = await anext(self._stream)
        except Exception:
            self._next = -1  # a loop that goes on begins with the batch that failed
            raise
        self._next += 1
        return batch

    async def aclose(self) -> None:
        """End the stream and the pool."""
        stream, self._stream = self._stream, None
        pool, self._pool = self._pool, None
        if stream is not None:
            await stream.aclose()
        if pool is not None:
            await pool.terminate()

    @property
    def is_open(self) -> bool:
        """Whether there are workers."""
        return self._pool is not None and not self._pool.closed

    def drop(self) -> None:
        """Begin to end, from the `__del__` of what it is part of."""
        if self._pool is not None:
            self._pool.stop()


class EpochBatches(AsyncBatches):
    """The batches of an epoch under an event loop: what `async for` reads from a loader.

    `begin` is called before the first batch, and returns the run that `fetch` takes each from,
    until it raises `StopAsyncIteration`. `left` is called at the end, and says whether the run ends
    with it. A request that is cancelled loses no batch. A loop that is left early may go on with
    the same object; otherwise it is over with `aclose`, or when nothing refers to it any more.
    """

    def __init__(
        self,
        begin: Callable[[], EpochRun],
        fetch: Callable[[EpochRun], Awaitable[Any]],
        left: Callable[[EpochRun], bool],
    ) -> None:
        self._begin = begin
        self._fetch = fetch
        self._left = left
        self._run: EpochRun | None = None
        self._over = self._asking = False

    async def __anext__(self) -> Any:
        if self._over:
            raise StopAsyncIteration
        if self._asking:
            raise RuntimeError(
                "another task is waiting for this loader's next batch: have one task read it and "
                "share its batches by an asyncio.Queue"
            )
        if self._run is None:
            self._run = self._begin()
        self._asking = True
        try:
            return await self._fetch(self._run)
        except StopAsyncIteration:
            await self.aclose()
            raise
        finally:
            self._asking = False

    async def aclose(self) -> None:
        """Leave the epoch. Idempotent; the workers end with it if they are not kept."""
        run, self._run, self._over = self._run, None, True
        if run is not None and self._left(run):
            await run.aclose()

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        run = self.__dict__.get("_run")
        if run is not None and self._left(run):
            run.drop()


def in_workers(device: Any, dtype: Any, form: dict[str, Any]) -> tuple[Outgoing, dict[str, Any]]:
    """What workers do about the format, and the rest of it, for `tensors`."""
    on_cpu = device is None or torch.device(device).type == "cpu"
    in_numpy = ArrayFormat(dtype=DTYPES.get(dtype), **form)
    # NumPy has no bfloat16.
    if on_cpu and in_numpy.computes and (dtype is None or dtype in DTYPES):
        return Outgoing(in_numpy), {"layout": None}
    return Outgoing(None), {**form, "dtype": dtype}
