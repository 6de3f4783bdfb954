"""The event loop that blocking callers share, and the thread that runs it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from .._base.interrupts import at_exit, interrupts_ignored, start_aside, undisturbed
from .._base.limits import named
from .._base.results import Outcome
from .._base.threads import refuse_at_exit
from ..errors import ClosedError
from .at_exit import killed_at_exit
from .portal import Portal, PortalCall
from .tasks import finish, in_thread

T = TypeVar("T")

_THE_END = "the program ends"


def call(work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
    portal_ref = _TemporaryRef()
    try:
        return portal_ref.call(work, *args)
    finally:
        portal_ref.release()


def is_ending() -> bool:
    """Whether the program ends: then nothing can be ended cleanly any more, nor needs to be."""
    return sys.is_finalizing() or _shared.frozen


class PortalRef:
    """Keeps the loop running for somebody. Taken and returned from any thread, idempotent.

    Taking it is the business of whoever uses it first. A process that was forked cannot use the
    references that its parent took.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # only with `undisturbed`
        self._shared_portal = _shared
        self._portal: Portal | None = None
        self._wanted = False  # what is being taken counts as taken
        self._over = False

    @property
    def acquired(self) -> bool:
        """Whether the loop is kept running."""
        return self._wanted and not self._over

    @property
    def ours(self) -> bool:
        """The same, in the process that took it."""
        return self.acquired and self._shared_portal is _shared

    def acquire(self) -> bool:
        """Keep the loop running until `release`, after which this has no effect.

        Returns whether it is kept running.
        """
        if self._portal is None and not self._over:
            self._wanted = True
            undisturbed(self._take)
        return self._portal is not None

    def release(self) -> None:
        """Need the loop no more. Waits for its end if nobody else needs it."""
        if self._wanted and not is_ending():
            undisturbed(self._give_back)
        else:
            self._over = True

    def call(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
        return self._taken().run(partial(work, *args))

    async def call_async(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """`call` from another event loop; cancelled, it cancels `work`."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Outcome[T]] = loop.create_future()

        def done(found: Outcome[T]) -> None:
            with suppress(RuntimeError):  # the other loop is closed
                loop.call_soon_threadsafe(_settle, outcome, found)

        if self._portal is None:
            await finish(in_thread(self.acquire))  # to start the loop is to wait for it
        portal = self._taken()
        call = PortalCall(portal, partial(work, *args), done)
        try:
            portal.submit(call)
            return (await outcome).unwrap()
        except asyncio.CancelledError:
            call.cancel()
            raise

    def end(self, work: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Run `work` as the last thing, and release the portal; the first such call has effect.

        An interrupt ends the wait alone. At the exit of the program `work` is left out.
        """
        if self._wanted and not is_ending():
            undisturbed(self._end, partial(work, *args))
        else:
            self._over = True

    def _taken(self) -> Portal:
        self.acquire()
        if self._shared_portal is not _shared:
            raise RuntimeError("this belongs to the process that this one was forked from")
        portal = self._portal
        if portal is None:
            raise ClosedError("what needed the event loop was closed")
        return portal

    def _take(self) -> None:
        with self._lock:
            try:
                if self._portal is None and not self._over:
                    self._shared_portal = _shared
                    self._portal = self._shared_portal.enter()
            finally:
                self._wanted = self._portal is not None

    def _give_back(self) -> None:
        if self._let_go() is not None and self._shared_portal is _shared:
            self._shared_portal.leave()

    def _end(self, work: Callable[[], Awaitable[object]]) -> None:
        portal = self._let_go()
        if portal is None or self._shared_portal is not _shared or self._shared_portal.frozen:
            return
        try:
            portal.run(work)
        finally:
            self._shared_portal.leave()

    def _let_go(self) -> Portal | None:
        with self._lock:
            portal, self._portal, self._over = self._portal, None, True
        return portal


class _TemporaryRef(PortalRef):
    """Returns itself when it is dropped: an interrupt may come before any `finally`."""

    def __del__(self) -> None:
        if self.__dict__.get("_wanted") and self.ours and not is_ending():
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
                # Before the workers are killed: what is registered last is called first.
                killed_at_exit(os.getpid())
                at_exit(self.freeze_at_exit)
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
        """At the exit of a program that left something open: have the loop do nothing any more.

        It could not clean up, since no thread can be started now, but would complain of the
        workers that are killed next, and of tasks that are dropped.
        """
        if self is not _shared or self.frozen:
            return
        with interrupts_ignored():
            self.frozen = True
            if self._portal is not None:
                self._portal.stand_still(_THE_END)


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _after_fork() -> None:
    global _shared
    _parents.append(_shared)
    _shared = _SharedPortal()


_shared = _SharedPortal()
# What a forked child has of its parent's loop. To drop it would be to have asyncio complain.
_parents: list[_SharedPortal] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
