"""Sends chunks to an engine, tries again what failed, and decides what becomes of failures."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from .._base.results import BatchResult, Failure, Skipped
from .._worker.augmentation import Item, augment_chunk, augment_chunk_timed
from ..engines.scheduler import Caller
from ..errors import BatchTimeout, ClosedError, TransportError, WorkerDied
from .options import PoolOptions
from .pool_life import PoolLife


class RetryingCaller:
    """Augments chunks of (index, batch) pairs on the engine of a pool; every batch gets a result.

    A chunk that fails as a whole, because its worker died, it took too long or it could not be
    carried, is done again batch by batch, so that only the guilty one fails. A batch on its own
    whose worker died, or was killed since the batch took more than `timeout` seconds, is tried
    `retries` more times; it keeps its index, so the output is the same. What becomes of batches
    that failed is for `on_error` to say. If the engine cannot be started, that is no batch's fault,
    and the call raises it. `look` is called with each batch before it is sent.

    Calls stand in the engine's line one at a time, as those of one caller, if `in_line` is one.
    `ahead` is for `Engine.submit`: more than 1 where a batch may wait for a slow one while another
    worker is idle.
    """

    def __init__(
        self,
        life: PoolLife,
        options: PoolOptions,
        *,
        ahead: int,
        in_line: Caller | None,
        look: Callable[[Any], None] | None = None,
    ) -> None:
        self._life = life
        self._look = look
        self._options = options
        self._ahead = ahead
        self._in_line = in_line

    def together(self) -> int:
        """How many batches it pays to send as one chunk, as they are now."""
        return self._life.engine.small_calls.batches_together(
            ordered=self._ahead > 1, limited=self._options.timeout is not None
        )

    async def __call__(self, chunk: Sequence[Item]) -> Sequence[BatchResult]:
        """What becomes of each batch of a chunk."""
        if not self._life.started:
            await self._life.start()
        if self._look is not None:
            for _, batch in chunk:
                self._look(batch)
        results: Sequence[BatchResult] = ()
        if len(chunk) > 1:
            with suppress(WorkerDied, BatchTimeout, TransportError):
                results = await self.submit(chunk)
        if not results:
            results = [await self.alone(item) for item in chunk]
        return [
            await self.resolve(item, result) if isinstance(result, Failure) else result
            for item, result in zip(chunk, results, strict=True)
        ]

    async def alone(
        self,
        item: Item,
        *,
        first: Awaitable[Sequence[BatchResult]] | None = None,
        limit: float | None = None,
        begun: Callable[[], object] | None = None,
    ) -> BatchResult:
        """What an augmenter makes of a batch, or why that failed; tried as often as it may be.

        `first` is the first try, if that is made otherwise; it brings nothing if it does not count.
        """
        tries_left = self._options.retries
        while True:
            attempt = first or self.submit([item], limit=limit, begun=begun)
            first = None
            try:
                results = await attempt
            except (WorkerDied, BatchTimeout) as error:
                if tries_left:
                    tries_left -= 1
                    continue
                doing = f"augmenting batch {item[0]}"
                if isinstance(error, WorkerDied):
                    return Failure(WorkerDied(error.exitcode, doing, item[0]))
                return Failure(BatchTimeout(error.seconds, doing, item[0]))
            except TransportError as error:
                return Failure(error)
            if results:
                return results[0]

    def submit(
        self,
        chunk: Sequence[Item],
        *,
        limit: float | None = None,
        begun: Callable[[], object] | None = None,
        late: bool = False,
    ) -> Awaitable[list[BatchResult]]:
        """Have a worker augment a chunk; what else there is, is for `Engine.submit`."""
        if limit is None and self._options.timeout is not None:
            limit = self._options.timeout * len(chunk)
        call = self._life.engine.submit(
            augment_chunk_timed if self._options.profile else augment_chunk,
            chunk,
            ahead=self._ahead,
            limit=limit,
            caller=self._in_line,
            begun=begun,
            late=late,
        )
        return self._measured(call) if self._options.profile else call

    async def _measured(self, call: Awaitable[Any]) -> list[BatchResult]:
        results, seconds = await call
        self._life.engine.meter.add_augmenters(seconds)
        return list(results)

    async def resolve(self, item: Item, failure: Failure) -> BatchResult:
        """Decide about a failure, and count it."""
        index, batch = item
        failure.error.add_note(f"while augmenting batch {index}")
        if isinstance(failure.error, ClosedError):
            return failure
        self._life.engine.meter.failures += 1
        on_error = self._options.on_error
        if on_error == "raise":
            return failure
        if on_error == "skip":
            return Skipped(failure.error)
        try:
            replacement: Any = on_error(index, batch, failure.error)
            if inspect.isawaitable(replacement):
                replacement = await replacement
        except Exception as error:
            return Failure(error)
        return Skipped(failure.error) if replacement is None else replacement
