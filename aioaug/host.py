"""The thread with the event loop that blocking callers share."""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, BlockingPortalProvider

from ._tasks import finish, in_thread
from .engines.keeper import killed_at_exit
from .errors import ClosedError

T = TypeVar("T")


def call(work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
    host = _host
    portal = host.enter()
    try:
        return host.wait(host.submit(portal, work, *args))
    finally:
        host.leave()


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
        with self._lock:
            portal, self._portal, self._over = self._portal, None, True
        if portal is not None and self._host is _host:
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
        """Run `work`, if the loop still does anything, and give the lease back."""
        try:
            if not self._host.stands_still:
                self.call(work, *args)
        finally:
            self.give_back()


class _Host:
    """The loop of a process: one for all, so that a loader can be an augmenter's source.

    It starts with the first that needs it and ends with the last. A process that was forked has
    one of its own, since threads are not forked.
    """

    def __init__(self) -> None:
        uvloop = importlib.util.find_spec("uvloop") is not None
        self.stands_still = False
        self._provider = BlockingPortalProvider("asyncio", {"use_uvloop": uvloop})
        self._lock = threading.Lock()
        self._watched = False
        self._users = 0
        self._portal: BlockingPortal | None = None
        self._calls: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def enter(self) -> BlockingPortal:
        """Need the loop until `leave`."""
        if self.stands_still:
            raise ClosedError("the program ends")
        with self._lock:
            if not self._watched:
                # Before the workers are killed: what is registered last is called first.
                killed_at_exit(os.getpid())
                getattr(threading, "_register_atexit", atexit.register)(self.stand_still)
                self._watched = True
        portal = self._provider.__enter__()
        with self._lock:
            self._users += 1
            self._portal = portal
        return portal

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._portal = None
        if not self.stands_still:
            self._provider.__exit__(None, None, None)

    def submit(
        self, portal: BlockingPortal, work: Callable[..., Awaitable[T]], *args: Any
    ) -> Future[T]:
        if self is not _host:
            raise RuntimeError("this belongs to the process that this one was forked from")
        if self.stands_still:
            raise ClosedError("the program ends")
        future = portal.start_task_soon(work, *args)
        self._calls.add(future)
        return future

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
        workers that are killed next. And the portal, whose own end would wait for a thread that is
        gone by then, must not be dropped: a frame of that thread refers to it for ever.
        """
        if self is not _host:
            return
        self.stands_still = True
        portal = self._portal
        if portal is not None:
            portal.start_task_soon(_wait_for_ever, self._provider)
            for future in tuple(self._calls):  # threads that Python is about to wait for
                future.cancel()

    def part(self) -> None:
        """In a process that was forked: the copy of the portal must not wait for a loop's end."""
        if self._portal is not None:
            with suppress(StopIteration):
                self._portal.stop().send(None)


async def _wait_for_ever(provider: BlockingPortalProvider) -> None:
    threading.Event().wait()


def _part_from_parent() -> None:
    global _host
    _parents.append(_host)
    _host.part()
    _host = _Host()


_host = _Host()
_parents: list[_Host] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part_from_parent)
