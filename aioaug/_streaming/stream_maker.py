"""Makes the streams of a pool, each with a feeder and a caller of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .._base.arguments import shard_or_default, whole_or_none
from .._base.seeding import IndexAllocator, PlannedIndices
from ..engines.scheduler import Caller
from ..engines.small_calls import CALLS_AT_ONCE
from .feeder import Feeder
from .options import PoolOptions
from .output_buffer import BufferSize, OutputBuffer, open_buffer
from .pool_life import PoolLife
from .retries import RetryingCaller
from .sources import BatchSource, open_source
from .state import DeliveryTracker, StreamState
from .stream_core import StreamCore


class StreamMaker:
    """What the streams of a pool have in common; `look` is called with each of their batches.

    `PoolLife` ends what is made here.
    """

    def __init__(
        self,
        life: PoolLife,
        options: PoolOptions,
        indices: IndexAllocator,
        look: Callable[[Any], None] | None,
    ) -> None:
        self._life = life
        self._options = options
        self._indices = indices
        self._look = look

    def stream(
        self,
        batches: Any,
        chunksize: int | None,
        output_buffer_size: BufferSize,
        state: Mapping[str, Any] | None = None,
        shard: tuple[int, int] | None = None,
        *,
        ordered: bool,
    ) -> StreamCore:
        """A stream that has not begun; see `AsyncPool.imap_batches`."""
        self._life.check_open()
        chunksize = whole_or_none("chunksize", chunksize, low=1) or 1
        buffer = open_buffer(output_buffer_size, self._life.engine.workers, chunksize)
        start = None if state is None else StreamState.load(state)
        shard = shard_or_default("shard", shard)
        place = (start.next, start.ahead) if start is not None else (0, ())
        source = open_source(batches, shard, start=place[0], unwanted=place[1])
        tracker = DeliveryTracker(
            self._indices,
            seed=self._options.seed,
            shard=_common_shard(batches, shard),
            state=start,
            pulled=source.start,
        )
        core = self._make(source, tracker, chunksize, buffer, ordered=ordered)
        self._life.streams.add(core)
        return core

    def planned(
        self, batches: Any, output_buffer_size: BufferSize, indices: Iterator[int]
    ) -> StreamCore:
        """A stream whose batches have these indices, whatever else the pool augments."""
        self._life.check_open()
        buffer = open_buffer(output_buffer_size, self._life.engine.workers, 1)
        tracker = DeliveryTracker(PlannedIndices(indices), seed=self._options.seed)
        core = self._make(open_source(batches), tracker, 1, buffer, ordered=True)
        self._life.streams.add(core)
        return core

    def of_list(self, batches: list[Any], chunksize: int) -> StreamCore:
        """A stream of a list; all its indices are taken now.

        So what comes after does not depend on how far this gets.
        """
        tracker = DeliveryTracker(IndexAllocator(self._indices.allocate(len(batches))))
        source, buffer = open_source(batches), OutputBuffer(None)
        core = self._make(source, tracker, chunksize, buffer, ordered=True)
        self._life.lists.add(core)
        return core

    def _make(
        self,
        source: BatchSource,
        tracker: DeliveryTracker,
        chunksize: int,
        buffer: OutputBuffer,
        *,
        ordered: bool,
    ) -> StreamCore:
        life = self._life
        # Out of order, no batch should wait for a slow one while another worker is idle.
        ahead = CALLS_AT_ONCE if ordered else 1
        call = RetryingCaller(life, self._options, ahead=ahead, in_line=Caller(), look=self._look)
        feeder = Feeder(
            call,
            source,
            tracker,
            life.engine.meter,
            buffer=buffer,
            at_once=lambda: life.engine.calls_wanted,
            chunksize=chunksize,
            together=call.together,
        )
        return StreamCore(
            feeder,
            ordered=ordered,
            begin=life.claim,
            expect_blocked_loop=lambda: life.engine.small_calls.expect_blocked_loop(),
        )


def _common_shard(batches: Any, shard: tuple[int, int]) -> tuple[int, int]:
    """The shard by which indices are counted: the one given, or that of a source that is one."""
    own = shard_or_default("the shard of the source", getattr(batches, "shard", None))
    if own == (0, 1):
        return shard
    if shard != (0, 1):
        raise ValueError(f"shard: the source has shard={own} already, so leave out {shard}")
    return own
