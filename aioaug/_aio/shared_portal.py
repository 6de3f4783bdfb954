"""The event loop that blocking callers share, and the thread that runs it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .._base.interrupts import call_at_exit, interrupts_ignored, start_aside, undisturbed
from .._base.system_limits import named
from .._base.threads import refuse_at_exit
from ..errors import ClosedError
from .at_exit import killed_at_exit
from .portal import Portal

_THE_END = "the program ends"


def is_ending() -> bool:
    """Whether the program ends: then nothing can be ended cleanly any more, nor needs to be."""
    return sys.is_finalizing() or _shared.frozen


class PortalRef:
    """Keeps the loop of this process running, from `acquire` to `release`.

    Both may be called from any thread, and more than once; after `release` nothing can be acquired
    any more. A process that was forked from the one that acquired it must not acquire it.
    """

    def __init__(self) -> None:
        self.pid: int | None = None  # of the process that first acquired it
        self._lock = threading.Lock()  # only with `undisturbed`
        self.portal: Portal | None = None  # while it is acquired
        self._wanted = False  # is set before the loop is asked for
        self._over = False

    @property
    def acquired(self) -> bool:
        """Whether it keeps the loop running, or is about to."""
        return self._wanted and not self._over

    @property
    def releasable(self) -> bool:
        """Whether it does so in this process, and the loop can still work."""
        return self.acquired and self.pid == os.getpid() and not is_ending()

    def acquire(self) -> Portal | None:
        """Keep the loop running until `release`; returns `None` after that."""
        if self.portal is None and not self._over:
            self.pid, self._wanted = os.getpid(), True
            undisturbed(self._take)
        return self.portal

    def release(self, last: Callable[[], Awaitable[object]] | None = None) -> None:
        """Run `last` on the loop, and need the loop no more; the first call alone has effect.

        Waits for `last`, and for the end of the loop if nobody else needs it. An interrupt ends
        the wait alone. At the exit of the program `last` is left out.
        """
        if self.releasable:
            undisturbed(self._give_back, last)
        else:
            self._over = True

    def _take(self) -> None:
        with self._lock:
            try:
                if self.portal is None and not self._over:
                    self.portal = _shared.enter()
            finally:
                self._wanted = self.portal is not None

    def _give_back(self, last: Callable[[], Awaitable[object]] | None = None) -> None:
        with self._lock:
            portal, self.portal, self._over = self.portal, None, True
        if portal is not None and not _shared.frozen:
            try:
                if last is not None:
                    portal.run(last)
            finally:
                _shared.leave()


class TemporaryRef(PortalRef):
    """Releases itself when it is dropped: an interrupt may come before any `finally`."""

    def __del__(self) -> None:
        if "_over" in self.__dict__ and self.releasable:
            with suppress(RuntimeError):  # no thread can be had; then the loop runs to the exit
                start_aside(self._give_back, name="aioaug-dispose")


class _SharedPortal:
    """The loop of a process: one for all, so that a loader can be an augmenter's source.

    It starts with the first that needs it and ends with the last. A process that was forked has
    one of its own, since threads are not forked.
    """

    def __init__(self) -> None:
        self.frozen = False
        self._lock = threading.Lock()  # only with `undisturbed`
        self._watched = False
        self._users = 0
        self._portal: Portal | None = None

    def enter(self) -> Portal:
        """Need the loop until `leave`."""
        with self._lock:
            if self.frozen:
                raise ClosedError(_THE_END)
            refuse_at_exit()
            if not self._watched:
                # What is registered last is called first: the loop is frozen before the workers
                # are killed, whose deaths it would report.
                killed_at_exit(os.getpid())
                call_at_exit(self.freeze_at_exit)
                self._watched = True
            if self._portal is None:
                with named("an event loop in a thread"):
                    self._portal = Portal()
            self._users += 1
            return self._portal

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self.frozen:
                return
            portal, self._portal = self._portal, None
        if portal is not None:
            portal.close()

    def freeze_at_exit(self) -> None:
        """Have the loop do nothing any more, at the exit of a program that left something open.

        It could not clean up, as no thread can be started at the exit. It would report errors
        about the workers, which are killed next, and about its tasks, which are dropped.
        """
        if self is not _shared or self.frozen:
            return
        with interrupts_ignored():
            self.frozen = True
            if self._portal is not None:
                self._portal.freeze(_THE_END)


def _after_fork() -> None:
    global _shared
    _parents.append(_shared)
    _shared = _SharedPortal()


_shared = _SharedPortal()
# What a forked child has of its parent's loop. If it were dropped, asyncio would warn of its tasks.
_parents: list[_SharedPortal] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
