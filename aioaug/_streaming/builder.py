"""Builds the pipelines of a pool: source, numbering, retries and bounds."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .._base.arguments import shard_or_default, whole, whole_or_none
from .._base.results import BatchResult
from .._base.seeding import IndexAllocator
from .._worker.augmentation import Item
from ..engines import Engine
from .pipeline import StreamPipeline
from .retries import FailurePolicy, OnError, RetryingCaller
from .sources import BatchSource, ShardedSource, open_source
from .state import DeliveryTracker, StreamState

# Chunks under way per worker: in its hands, on the way there, on the way back.
_CHUNKS_PER_WORKER = 3
# A list is cut into this many chunks per worker, as multiprocessing.Pool does.
_CUTS_PER_WORKER = 4


class PoolOptions(NamedTuple):
    """What holds for every batch of a pool."""

    seed: int
    retries: int
    timeout: float | None
    on_error: OnError


class StreamOptions(NamedTuple):
    """What one stream was asked for, as the user wrote it."""

    chunksize: int | None
    output_buffer_size: int | None
    state: Mapping[str, Any] | None = None
    shard: tuple[int, int] | None = None


class StreamBuilder:
    """Builds pipelines over the engine of a pool.

    `engine` tells which one that is at the time. Each pipeline calls `claim` when it begins, and
    awaits `begin` whenever it has work.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        indices: IndexAllocator,
        options: PoolOptions,
        *,
        claim: Callable[[], None],
        begin: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._indices = indices
        self._rules = options
        self._claim = claim
        self._begin = begin

    def stream(self, batches: Any, options: StreamOptions, *, ordered: bool) -> StreamPipeline:
        """A pipeline for a source of any kind."""
        window = whole_or_none("output_buffer_size", options.output_buffer_size, low=0) or None
        chunksize = whole_or_none("chunksize", options.chunksize, low=1) or 1
        rank, world_size = shard = shard_or_default("shard", options.shard)
        source = open_source(batches)
        if world_size > 1:
            source = ShardedSource(source, rank, world_size)
        tracker = DeliveryTracker(
            self._indices,
            seed=self._rules.seed,
            shard=shard,
            state=None if options.state is None else self._resume(options.state, shard),
        )
        return self._pipeline(source, tracker, chunksize, window, ordered=ordered)

    def list(self, batches: Any, chunksize: int | None) -> StreamPipeline:
        """A pipeline for a list, cut into chunks for all workers."""
        if not isinstance(batches, list):
            raise TypeError(
                f"batches must be a list, got {type(batches).__name__}; "
                "imap_batches takes generators and other iterables"
            )
        if chunksize is None:
            workers = self._engine().workers
            chunksize = max(1, math.ceil(len(batches) / (_CUTS_PER_WORKER * workers)))
        chunksize = whole("chunksize", chunksize, low=1)
        # The indices of the whole list are taken now: what comes after does not depend on how
        # far this call gets.
        tracker = DeliveryTracker(IndexAllocator(self._indices.allocate(len(batches))))
        return self._pipeline(open_source(batches), tracker, chunksize, None, ordered=True)

    def _resume(self, state: Mapping[str, Any], shard: tuple[int, int]) -> StreamState:
        resumed = StreamState.load(state)
        if resumed.seed != self._rules.seed:
            raise ValueError(
                f"state is of a pool with seed={resumed.seed}, this one has {self._rules.seed}"
            )
        if resumed.shard != shard:
            raise ValueError(f"state is of shard={resumed.shard}, this stream is of {shard}")
        first = resumed.first - shard[0]
        if first < self._indices.next:
            raise ValueError(
                f"state is of a stream that began with batch {first}, but this pool has augmented "
                f"{self._indices.next} batches already: resume before anything else"
            )
        self._indices.next = first
        return resumed

    def _pipeline(
        self,
        source: BatchSource,
        tracker: DeliveryTracker,
        chunksize: int,
        window: int | None,
        *,
        ordered: bool,
    ) -> StreamPipeline:
        engine, options = self._engine(), self._rules
        dispatch = RetryingCaller(
            self._engine,
            FailurePolicy(options.on_error, engine.meter),
            retries=options.retries,
            timeout=options.timeout,
            ordered=ordered,
        )

        def bundle() -> int:
            together = self._engine().small_calls.batches_together(
                ordered=ordered, limited=options.timeout is not None
            )
            return max(1, together // chunksize)

        async def call(chunk: Sequence[Item]) -> Sequence[BatchResult[Any]]:
            await self._begin()  # what fails here is no batch's fault
            return await dispatch(chunk)

        return StreamPipeline(
            call,
            source,
            tracker,
            window=window,
            chunksize=chunksize,
            flying=_CHUNKS_PER_WORKER * engine.workers,
            bundle=bundle,
            ordered=ordered,
            meter=engine.meter,
            begin=self._claim,
        )
