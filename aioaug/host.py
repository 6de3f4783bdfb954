"""The thread with the event loop that blocking callers share."""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ._tasks import finish, in_thread
from .engines.keeper import killed_at_exit
from .errors import ClosedError
from .limits import named

T = TypeVar("T")


def call(work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
    host = _host
    portal = host.enter()
    try:
        return host.wait(host.submit(portal, work, *args))
    finally:
        host.leave()


def is_ending() -> bool:
    """Whether the program ends: then nothing can be ended cleanly any more, nor needs to be."""
    return sys.is_finalizing() or _host.stands_still


class Lease:
    """Keeps the loop running for somebody. Taken and returned from any thread, idempotent.

    Taking it is the business of whoever uses it first. A process that was forked cannot use the
    leases that its parent took.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host = _host
        self._portal: BlockingPortal | None = None
        self._over = False

    @property
    def taken(self) -> bool:
        """Whether the loop is kept running."""
        return self._portal is not None

    @property
    def ours(self) -> bool:
        """The same, in the process that took it."""
        return self.taken and self._host is _host

    def take(self) -> bool:
        """Keep the loop running until `give_back`, after which this has no effect.

        Returns whether it is kept running.
        """
        with self._lock:
            if self._portal is None and not self._over:
                self._host = _host
                self._portal = self._host.enter()
            return self._portal is not None

    def give_back(self) -> None:
        """Need the loop no more. Waits for its end if nobody else needs it."""
        if self._let_go() is not None and self._host is _host:
            self._host.leave()

    def submit(self, work: Callable[..., Awaitable[T]], *args: Any) -> Future[T]:
        """Begin `work` on the loop; cancelling the future cancels it."""
        self.take()
        portal = self._portal
        if portal is None:
            raise ClosedError("what needed the event loop was closed")
        return self._host.submit(portal, work, *args)

    def call(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
        return self._host.wait(self.submit(work, *args))

    async def call_async(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """`call` from another event loop; cancelled, it cancels `work`."""
        futures: list[Future[T]] = []
        try:
            # To start the loop, and a task there, is to wait for it.
            await finish(in_thread(lambda: futures.append(self.submit(work, *args))))
            return await asyncio.wrap_future(futures[0])
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def end(self, work: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Run `work` as the last thing, and give the lease back; the first such call has effect.

        At the exit of the program `work` is left out.
        """
        portal = self._let_go()
        if portal is None or self._host.stands_still:
            return
        try:
            self._host.wait(self._host.submit(portal, work, *args))
        finally:
            if self._host is _host:
                self._host.leave()

    def _let_go(self) -> BlockingPortal | None:
        with self._lock:
            portal, self._portal, self._over = self._portal, None, True
        return portal


class _Host:
    """The loop of a process: one for all, so that a loader can be an augmenter's source.

    It starts with the first that needs it and ends with the last. A process that was forked has
    one of its own, since threads are not forked.
    """

    def __init__(self) -> None:
        self.stands_still = False
        self._changed = threading.Condition()
        self._watched = False
        self._users = 0
        self._context: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None
        self._beginning = 0  # calls that wait for their turn to begin
        self._calls: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def enter(self) -> BlockingPortal:
        """Need the loop until `leave`."""
        with self._changed:
            if self.stands_still:
                raise ClosedError("the program ends")
            if not self._watched:
                # Before the workers are killed: what is registered last is called first.
                killed_at_exit(os.getpid())
                getattr(threading, "_register_atexit", atexit.register)(self.stand_still)
                self._watched = True
            if self._portal is None:
                uvloop = importlib.util.find_spec("uvloop") is not None
                self._context = start_blocking_portal("asyncio", {"use_uvloop": uvloop})
                with named("an event loop in a thread"):
                    self._portal = self._context.__enter__()
            self._users += 1
            return self._portal

    def leave(self) -> None:
        with self._changed:
            self._users -= 1
            if self._users or self.stands_still:
                return
            context, self._context, self._portal = self._context, None, None
        if context is not None:
            context.__exit__(None, None, None)

    def submit(
        self, portal: BlockingPortal, work: Callable[..., Awaitable[T]], *args: Any
    ) -> Future[T]:
        if self is not _host:
            raise RuntimeError("this belongs to the process that this one was forked from")
        with self._changed:
            if self.stands_still:
                raise ClosedError("the program ends")
            self._beginning += 1
        try:
            future = portal.start_task_soon(work, *args)
            self._calls.add(future)
            return future
        finally:
            with self._changed:
                self._beginning -= 1
                self._changed.notify_all()

    def wait(self, future: Future[T]) -> T:
        try:
            return future.result()
        except BaseException as error:
            future.cancel()  # no matter if it has ended; an interrupt ends the wait alone
            if self.stands_still and isinstance(error, CancelledError):
                raise ClosedError("the program ends") from None
            raise
        finally:
            # An exception would keep its own future alive, by way of its traceback.
            del future

    def stand_still(self) -> None:
        """At the exit of a program that left something open: have the loop do nothing any more.

        It could not clean up, since no thread can be started now, but would complain of the
        workers that are killed next, and of tasks that are dropped. And the portal's own end would
        wait for a thread that is gone by then. So a frame of that thread refers to all for ever.
        """
        if self is not _host:
            return
        with self._changed:
            self.stands_still = True
            self._changed.wait_for(lambda: not self._beginning)
        if self._portal is not None:
            reached = threading.Event()
            self._portal.start_task_soon(_wait_for_ever, reached, self._context)
            reached.wait()
            for future in tuple(self._calls):  # threads that Python is about to wait for
                future.cancel()

    def part(self) -> None:
        """In a process that was forked: end the copy of the portal, which has no loop."""
        if self._portal is not None and self._context is not None:
            with suppress(StopIteration):
                self._portal.stop().send(None)
            self._context.__exit__(None, None, None)


async def _wait_for_ever(reached: threading.Event, *referred: object) -> None:
    referred += tuple(asyncio.all_tasks())
    reached.set()
    threading.Event().wait()


def _part_from_parent() -> None:
    global _host
    parents, _host = _host, _Host()
    parents.part()


_host = _Host()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part_from_parent)
