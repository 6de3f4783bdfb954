"""Carries objects to workers and results back: by shared memory if they are large."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import Any, NamedTuple

from ..._base.threads import DaemonExecutor
from ..._transport import segments, serialization
from ..._transport.messages import Reply, Request
from ..._transport.segments import Segment, Span
from ..small_calls import LOOP_BYTES, SMALL_BYTES, SmallCallPolicy
from .result_size import ResultSizePredictor
from .segment_pool import SegmentPool


class PickledCall(NamedTuple):
    """A call taken apart: its head, the arrays beside it, and their size."""

    call: Any
    head: bytes
    buffers: list[memoryview]
    size: int


class PackedCall(NamedTuple):
    """Something packed: the head, and where its arrays lie."""

    head: bytes
    size: int = 0
    segment: Segment | None = None
    spans: tuple[Span, ...] = ()

    def message(
        self, attached: set[int], existing: frozenset[int], *, report_memory: bool
    ) -> tuple[Request, tuple[int, ...]]:
        """The request for a worker that has these segments open, and what goes along with it.

        That is the descriptor of a segment that the worker has not opened yet. Updates `attached`.
        """
        dropped = tuple(attached - existing)
        attached.difference_update(dropped)
        address = None
        descriptors: tuple[int, ...] = ()
        if self.segment is not None:
            address = self.segment.address
            if self.segment.number not in attached:
                descriptors = (self.segment.fd,)
                attached.add(self.segment.number)
        return Request(self.head, address, self.spans, dropped, report_memory), descriptors


class Transport:
    """Packs and unpacks. Everything that may take long happens in threads.

    `reserve` segments are kept for what goes out: results that would eat into them are copied
    out of shared memory, as all are with `copy`.
    """

    def __init__(
        self,
        segment_pool: SegmentPool,
        threads: DaemonExecutor,
        small_calls: SmallCallPolicy,
        *,
        reserve: int,
        copy: bool,
        room: int = 0,
    ) -> None:
        self._segment_pool = segment_pool
        self._threads = threads
        self._small_calls = small_calls
        self._reserve = reserve
        self._copy = copy
        self._result_sizes = ResultSizePredictor(room)

    def pickle_now(self, call: Any) -> PickledCall | None:
        """`pickle` on the event loop, if that is quick."""
        return self._pickle(call) if self._small_calls.pickles_on_loop else None

    async def pickle(self, call: Any) -> PickledCall:
        """Pickle a call, its arrays beside it; raises `TransportError`."""
        return await asyncio.wrap_future(self._threads.submit(self._pickle, call))

    def needed(self, call: PickledCall) -> int:
        """How large a segment it needs, also for its result, as far as is known by now."""
        return call.size + self._result_sizes.room_for(call.size)

    def is_large(self, call: PickledCall) -> bool:
        """Whether it takes long to `pack`, so that this is done before a worker is there."""
        return self.needed(call) > (LOOP_BYTES if self._segment_pool.usable else 0)

    def pack_now(self, call: PickledCall) -> PackedCall | None:
        """`pack` on the event loop, if that is quick."""
        needed = self.needed(call)
        if not needed:
            return PackedCall(call.head)
        if self.is_large(call):
            return None
        segment = self._segment_pool.reuse(needed)
        return None if segment is None else _laid(call, segment)

    async def pack(self, call: PickledCall) -> PackedCall:
        """Lay the arrays of a call into shared memory, or pickle it whole."""
        packing = self._threads.submit(self._pack, call)
        try:
            return await asyncio.wrap_future(packing)
        except asyncio.CancelledError:
            packing.add_done_callback(self._abandon)
            raise

    async def unpack(self, packed: PackedCall, reply: Reply) -> tuple[Any, bool]:
        """The object in a reply to this call, its arrays writable, and whether it was copied."""
        size = len(reply.head)
        if self._copies(packed, reply):
            size += sum(length for _, length in reply.spans)
        if size < LOOP_BYTES and self._small_calls.unpacks_on_loop:
            return self._unpack(packed, reply)
        # Not the result of the future, which the thread may keep for a moment after the caller has
        # it, and with it the segment.
        unpacked: list[tuple[Any, bool]] = []
        unpacking = self._threads.submit(lambda: unpacked.append(self._unpack(packed, reply)))
        try:
            await asyncio.wrap_future(unpacking)
            return unpacked.pop()
        except asyncio.CancelledError:
            if unpacking.cancelled():  # before a thread got to it
                self._return(packed, reply)
            raise

    def release(self, packed: PackedCall) -> None:
        """Give up a packed call that no worker holds (any more)."""
        if packed.segment is not None:
            self._segment_pool.release(packed.segment)

    def lose(self, packed: PackedCall) -> None:
        """Give up a packed call that was sent to a worker which is gone.

        Its memory is never used again: the worker may have left a process behind that writes there.
        """
        if packed.segment is not None:
            self._segment_pool.retire(packed.segment)

    def refuse(self, packed: PackedCall, reply: Reply) -> None:
        """Use no shared memory any more: a worker could not open this call's."""
        self.release(packed)
        self._segment_pool.refuse(packed.size, reply.refused)

    def discard(self, packed: PackedCall, reply: Reply | None) -> None:
        """Give up a packed call whose reply nobody wants, or never came."""
        if reply is None:
            self.lose(packed)
        else:
            self._return(packed, reply)

    def _return(self, packed: PackedCall, reply: Reply) -> None:
        if packed.segment is not None and reply.kept:
            self._segment_pool.retire(packed.segment)
        else:
            self.release(packed)

    def _abandon(self, packing: Future[PackedCall]) -> None:
        if not packing.cancelled() and packing.exception() is None:
            self.release(packing.result())

    def _pickle(self, call: Any) -> PickledCall:
        begun = time.perf_counter()
        head, buffers = serialization.flatten(call, SMALL_BYTES)
        size = segments.room_for(buffers)
        seconds = time.perf_counter() - begun
        self._small_calls.note_pickled(
            len(head) + size + self._result_sizes.without_arrays, seconds
        )
        return PickledCall(call, head, buffers, size)

    def _pack(self, call: PickledCall) -> PackedCall:
        segment = self._segment_pool.acquire(self.needed(call))
        if segment is None:
            return PackedCall(serialization.pickled(call.call))
        return _laid(call, segment)

    def _unpack(self, packed: PackedCall, reply: Reply) -> tuple[Any, bool]:
        begun = time.perf_counter()
        try:
            return self._rebuild(packed, reply)
        finally:
            self._small_calls.note_unpacked(time.perf_counter() - begun)

    def _rebuild(self, packed: PackedCall, reply: Reply) -> tuple[Any, bool]:
        segment = packed.segment
        if segment is None:
            self._result_sizes.note_pickled(len(reply.head))
            return serialization.rebuild(reply.head), False
        if reply.needed:
            self._result_sizes.note_needed(packed.size, reply.needed)
        if not self._copies(packed, reply):
            views = segments.views(self._segment_pool.lend(segment), reply.spans)
            return serialization.rebuild(reply.head, views), False
        arrays = [array.copy() for array in segments.views(segment.memory, reply.spans)]
        self._return(packed, reply)
        return serialization.rebuild(reply.head, arrays), True

    def _copies(self, packed: PackedCall, reply: Reply) -> bool:
        if not reply.spans or packed.segment is None:
            return reply.kept
        scarce = not self._segment_pool.has_room(self._reserve, packed.segment.size)
        return self._copy or reply.kept or scarce


def _laid(call: PickledCall, segment: Segment) -> PackedCall:
    spans = segments.lay(call.buffers, segment.memory)
    return PackedCall(call.head, call.size, segment, tuple(spans))
