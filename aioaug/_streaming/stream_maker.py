"""Makes the streams of a pool, each with a feeder and a caller of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engines.limits import CHUNKS_PER_WORKER
from ..engines.scheduler import Caller
from ..engines.small_calls import CALLS_AT_ONCE
from .feeder import Feeder
from .options import PoolOptions
from .output_buffer import OutputBuffer
from .pool_life import PoolLife
from .retries import RetryingCaller
from .sources import BatchSource
from .state import DeliveryTracker
from .stream_core import StreamCore


class StreamMaker:
    """What the streams of a pool have in common; `look` is called with each of their batches."""

    def __init__(
        self, life: PoolLife, options: PoolOptions, look: Callable[[Any], None] | None
    ) -> None:
        self._life = life
        self._options = options
        self._look = look

    def make(
        self,
        source: BatchSource,
        tracker: DeliveryTracker,
        chunksize: int,
        buffer: OutputBuffer,
        *,
        ordered: bool,
    ) -> StreamCore:
        """A stream of this source, which has not begun."""
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
            at_once=CHUNKS_PER_WORKER * life.engine.workers,
            chunksize=chunksize,
            together=call.together,
        )
        return StreamCore(feeder, ordered=ordered, begin=life.claim)
