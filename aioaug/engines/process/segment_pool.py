"""The shared memory of one engine: a pool of segments that are used again and again."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from ..._base import system
from ..._transport.segments import Segment

if TYPE_CHECKING:
    from ..._transport.segments import Memory

# Segment sizes are multiples of this, so that batches of nearly one size share segments.
_STEP = 1 << 16


class SegmentPool:
    """Hands out segments and takes them back; from any thread.

    At most `count` segments of together at most `max_bytes` exist. Once there are enough of
    them, none is made or dropped any more. `acquire` never waits: where there is no segment to be
    had it returns `None`, and the caller does without.
    """

    def __init__(self, count: int, max_bytes: int) -> None:
        self.count = count
        self.max_bytes = max_bytes
        self._numbers = itertools.count(1)
        self._free: list[Segment] = []
        self._all: dict[int, Segment] = {}
        # Where finalizers leave what comes back: they run at any point of any thread, even of one
        # that holds the lock, so they must not ask for it.
        self._returned: deque[Segment] = deque()
        # A signal handler may fork in the middle of anything that this thread does.
        self._lock = threading.RLock()
        self._closed = False
        self._refused = False
        self._forked: frozenset[int] = frozenset()  # segments that a forked process may look at
        self._warned = False
        _pools.add(self)

    @property
    def free(self) -> int:
        """How many segments could be taken now."""
        return self.count - len(self._all) + len(self._free) + len(self._returned)

    def has_room(self, count: int, size: int) -> bool:
        """Whether, beside what somebody has, there could be so many segments of this size."""
        idle = sum(segment.size for segment in (*self._free, *self._returned))
        return self.free >= count and self._used() - idle + count * size <= self.max_bytes

    @property
    def usable(self) -> bool:
        """Whether there may be any segments."""
        return self.max_bytes > 0 and not self._refused

    @property
    def used(self) -> int:
        """How many segments somebody has."""
        return len(self._all) - len(self._free) - len(self._returned)

    @property
    def numbers(self) -> frozenset[int]:
        """The segments that exist."""
        return frozenset(self._all)

    def acquire(self, size: int) -> Segment | None:
        """A segment of at least `size` bytes, or `None`."""
        with self._lock:
            segment = self._fitting(size)
            if segment is not None:
                return segment
            size = -(-size // _STEP) * _STEP
            if self._closed or self._refused or not self._make_way(size):
                return None
            return self._make(size)

    def reuse(self, size: int) -> Segment | None:
        """A segment that exists already, or `None`; it does not wait for other threads either."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._fitting(size)
        finally:
            self._lock.release()

    def release(self, segment: Segment) -> None:
        """Take a segment back, to be used again."""
        self._returned.append(segment)
        if self._closed:
            self._release_returned()

    def retire(self, segment: Segment) -> None:
        """Take a segment back that somebody may still look at: it is never used again."""
        self._drop(segment)  # takes no lock: the event loop calls this

    def refuse(self, size: int, reason: str) -> None:
        """Hand out no more segments, since workers cannot open them."""
        self._refused = True
        self._warn(size, reason)

    def lend(self, segment: Segment) -> Memory:
        """The segment's memory; it is given back when the last array made from it is gone."""
        loan = segment.loan()
        weakref.finalize(loan, self.release, segment).atexit = False
        return loan

    def pause(self) -> None:
        """Before a fork: have no segment change hands until `resume`."""
        self._lock.acquire()

    def resume(self) -> None:
        """After a fork, in either process: never use again what somebody had at that moment.

        The other process has whatever lay there, too, and fork promises it that nobody changes it.
        """
        self._forked = frozenset(self._all).difference(segment.number for segment in self._free)
        self._lock.release()

    def close(self) -> None:
        """Drop all segments; what is lent out stays readable for as long as somebody has it."""
        with self._lock:
            self._closed = True
            self._collect()
            while self._free:
                self._drop(self._free.pop())
            self._all.clear()  # what is lent out is let go of when it comes back
        self._release_returned()

    def _fitting(self, size: int) -> Segment | None:
        self._collect()
        fitting = [segment for segment in self._free if segment.size >= size]
        if self._refused or not fitting:
            return None
        segment = min(fitting, key=lambda segment: segment.size)
        self._free.remove(segment)
        return segment

    def _collect(self) -> None:
        while self._returned:
            segment = self._returned.popleft()
            if segment.number not in self._all:
                segment.release()  # retired while somebody still had a view of it
            elif segment.number in self._forked:
                self._drop(segment)
            else:
                self._free.append(segment)

    def _release_returned(self) -> None:
        with suppress(IndexError):  # other threads may do the same
            while True:
                self._returned.popleft().release()

    def _make_way(self, size: int) -> bool:
        """Drop free segments, the smallest first, until one of `size` may be made."""
        if size > self.max_bytes:
            self._warn(size, f"max_bytes={self.max_bytes}")
            return False
        self._free.sort(key=lambda segment: segment.size)
        while len(self._all) >= self.count or self._used() + size > self.max_bytes:
            if not self._free:
                return False
            self._drop(self._free.pop(0))
        return True

    def _make(self, size: int) -> Segment | None:
        # The kernel never refuses such memory: it kills processes, not always this one, to get it.
        if size > system.free_memory() // 2:
            self._warn(size, "too little memory is free")
            return None
        try:
            segment = Segment.create(next(self._numbers), size)
        except OSError as error:
            self._warn(size, str(error))
            return None
        self._all[segment.number] = segment
        return segment

    def _drop(self, segment: Segment) -> None:
        self._all.pop(segment.number, None)
        segment.release()

    def _used(self) -> int:
        # A copy, since other threads may run while a tuple of the values is made.
        return sum(segment.size for segment in self._all.copy().values())

    def _warn(self, size: int, reason: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"no shared memory of {size} bytes for a batch ({reason}); "
                "batches of this size are copied through a socket, which is slower",
                RuntimeWarning,
                stacklevel=2,
            )


class _Fork:
    """Between the hooks before and after a fork: one at a time, with all pools standing still."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._paused: list[SegmentPool] = []

    def begin(self) -> None:
        self._lock.acquire()
        self._paused = list(_pools)
        for pool in self._paused:
            pool.pause()

    def end(self) -> None:
        for pool in self._paused:
            pool.resume()
        self._paused = []
        self._lock.release()


_pools: weakref.WeakSet[SegmentPool] = weakref.WeakSet()
_fork = _Fork()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_fork.begin, after_in_parent=_fork.end, after_in_child=_fork.end)
