"""Puts the pipelines of a pool together: source, numbering, dispatch and bounds."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ._augment import Item
from .arguments import shard_or_default, whole, whole_or_none
from .dispatch import Dispatcher
from .engines import Engine
from .outcomes import Verdict
from .pipeline import Pipeline
from .policy import OnError, Policy
from .progress import Bookmark, Progress
from .seeding import Indices
from .sources import ShardedSource, Source, open_source

# Chunks under way per worker: in its hands, on the way there, on the way back.
_CHUNKS_PER_WORKER = 3
# A list is cut into this many chunks per worker, as multiprocessing.Pool does.
_CUTS_PER_WORKER = 4


class Rules(NamedTuple):
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


class Assembly:
    """Builds pipelines over the engine of a pool.

    `engine` tells which one that is at the time. Each pipeline calls `claim` when it begins, and
    awaits `begin` whenever it has work.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        indices: Indices,
        rules: Rules,
        *,
        claim: Callable[[], None],
        begin: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._indices = indices
        self._rules = rules
        self._claim = claim
        self._begin = begin

    def stream(self, batches: Any, options: StreamOptions, *, ordered: bool) -> Pipeline:
        """A pipeline for a source of any kind."""
        window = whole_or_none("output_buffer_size", options.output_buffer_size, low=0) or None
        chunksize = whole_or_none("chunksize", options.chunksize, low=1) or 1
        rank, world_size = shard = shard_or_default("shard", options.shard)
        source = open_source(batches)
        if world_size > 1:
            source = ShardedSource(source, rank, world_size)
        progress = Progress(
            self._indices,
            seed=self._rules.seed,
            shard=shard,
            bookmark=None if options.state is None else self._resume(options.state, shard),
        )
        return self._pipeline(source, progress, chunksize, window, ordered=ordered)

    def list(self, batches: Any, chunksize: int | None) -> Pipeline:
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
        progress = Progress(Indices(self._indices.take(len(batches))))
        return self._pipeline(open_source(batches), progress, chunksize, None, ordered=True)

    def _resume(self, state: Mapping[str, Any], shard: tuple[int, int]) -> Bookmark:
        bookmark = Bookmark.load(state)
        if bookmark.seed != self._rules.seed:
            raise ValueError(
                f"state is of a pool with seed={bookmark.seed}, this one has {self._rules.seed}"
            )
        if bookmark.shard != shard:
            raise ValueError(f"state is of shard={bookmark.shard}, this stream is of {shard}")
        first = bookmark.first - shard[0]
        if first < self._indices.next:
            raise ValueError(
                f"state is of a stream that began with batch {first}, but this pool has augmented "
                f"{self._indices.next} batches already: resume before anything else"
            )
        self._indices.next = first
        return bookmark

    def _pipeline(
        self,
        source: Source,
        progress: Progress,
        chunksize: int,
        window: int | None,
        *,
        ordered: bool,
    ) -> Pipeline:
        engine, rules = self._engine(), self._rules
        dispatch = Dispatcher(
            self._engine,
            Policy(rules.on_error, engine.meter),
            retries=rules.retries,
            timeout=rules.timeout,
            ordered=ordered,
        )

        async def call(chunk: Sequence[Item]) -> Sequence[Verdict[Any]]:
            await self._begin()  # what fails here is no batch's fault
            return await dispatch(chunk)

        return Pipeline(
            call,
            source,
            progress,
            window=window,
            chunksize=chunksize,
            flying=_CHUNKS_PER_WORKER * engine.workers,
            bundle=lambda: max(1, dispatch.at_once // chunksize),
            ordered=ordered,
            meter=engine.meter,
            begin=self._claim,
        )
