"""Calls so small that to send them takes longer than to do them: what is done to save time."""

from __future__ import annotations

# Work on the event loop's own thread may take so long, in seconds: more of it would hold up
# everything else on the loop.
_LOOP_SECONDS = 0.0003
# So many bytes are copied there in less time than it takes to have a thread do it.
LOOP_BYTES = 1 << 19
# Arrays that go into a message itself, and not into shared memory.
SMALL_BYTES = 1 << 16
# Calls that take a worker less than so many seconds are sent, so many of them, to a worker that is
# still busy: to wake it up for each would take longer than the call. Of calls in shared memory it
# is one at a time that is ready to follow.
_QUICK_SECONDS = 0.002
CALLS_AT_ONCE = 4
_CALLS_IN_MEMORY = 2
# A call that several requests share, sent to a worker that takes less than so many seconds for one,
# is there when that is done: it would be idle until its reply was handled.
_SHORT_SECONDS = 0.05
# Batches that take less time than a message to a worker does share one.
BATCHES_TOGETHER = 8


class SmallCallPolicy:
    """Tells from the last calls of an engine how to treat the next ones.

    Before it is told of any, all of them are large. Workers that do not stay are given one call at
    a time: how many calls a worker has had must be known when it is to be replaced.
    """

    def __init__(self, workers: int, *, workers_stay: bool = True) -> None:
        self.pickles_on_loop = False  # else in a thread
        self.unpacks_on_loop = False
        self._small = False
        self._loop_blocks = False
        self._workers = workers
        self._workers_stay = workers_stay
        self._quick_workers: set[object] = set()
        self._short_workers: set[object] = set()  # whose last calls were short

    def expect_workers(self, workers: int) -> None:
        """There are so many workers from now on."""
        self._workers = workers

    def forget(self, worker: object) -> None:
        """A worker is gone."""
        self._quick_workers.discard(worker)
        self._short_workers.discard(worker)

    def note_pickled(self, size: int, seconds: float) -> None:
        """A call of `size` bytes was pickled; what it is known to bring back counts, too."""
        self.pickles_on_loop = seconds < _LOOP_SECONDS
        self._small = size < SMALL_BYTES

    def note_unpacked(self, seconds: float) -> None:
        """A result was unpacked: a small one may take long, too, and then so do others like it."""
        self.unpacks_on_loop = seconds < _LOOP_SECONDS

    def note_reply(self, worker: object, seconds: float) -> None:
        """A worker took so many seconds for a call."""
        for workers, most in (
            (self._quick_workers, _QUICK_SECONDS),
            (self._short_workers, _SHORT_SECONDS),
        ):
            if self._workers_stay and seconds < most:
                workers.add(worker)
            else:
                workers.discard(worker)

    def expect_blocked_loop(self) -> None:
        """The loop will stand still for long: a worker that is done needs another call there."""
        self._loop_blocks = True

    def most_calls(self, needed: int) -> int:
        """How many calls a worker may have together with one that needs so much shared memory."""
        if needed > LOOP_BYTES:
            return _CALLS_IN_MEMORY if self._loop_blocks else 1
        return _CALLS_IN_MEMORY if needed else CALLS_AT_ONCE

    def calls_at_once(self, worker: object) -> int:
        """How many calls this worker may have been given, the one that it is busy with included."""
        if worker in self._quick_workers:
            return CALLS_AT_ONCE
        return _CALLS_IN_MEMORY if self._loop_blocks and self._workers_stay else 1

    def shared_at_once(self, worker: object) -> int:
        """The same for a call that several requests share."""
        return _CALLS_IN_MEMORY if worker in self._short_workers else 1

    @property
    def quick(self) -> bool:
        """Whether calls are over so soon, on all workers, that it pays to join some of them."""
        return self.pickles_on_loop and len(self._quick_workers) >= self._workers

    def batches_together(self, *, ordered: bool, limited: bool) -> int:
        """How many batches it pays to send as one call.

        Out of order, no batch should wait for a slow one while another worker is idle; and where
        the time of batches is limited, it has to begin when they are sent.
        """
        return BATCHES_TOGETHER if self._small and self.quick and ordered and not limited else 1
