"""How callers that block use async objects: on the one event loop that all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from .._base.results import Outcome
from ..errors import ClosedError
from .loops import check_process
from .portal import CLOSED, PortalCall
from .shared_portal import PortalRef, TemporaryRef
from .tasks import end_aside, finish, in_thread, running_loop

T = TypeVar("T")


def call_once(work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `work` on the loop and wait for it; the loop is kept running for this call only."""
    portal_ref = TemporaryRef()
    try:
        portal = portal_ref.acquire()
        if portal is None:
            raise ClosedError(CLOSED)
        return portal.run(partial(work, *args))
    finally:
        portal_ref.release()


class BlockingBridge:
    """Lets callers that block use one async object, from any thread and from a signal's handler.

    The first call starts the loop, if it does not run, and `end` or `release` lets go of it. An
    interrupt (Ctrl-C) cancels the call that it comes to, and the object stays usable. In a process
    that was forked from the one that made the first call, calls raise `RuntimeError`.

    Args:
        name: what error messages call the object.
        lender: the bridge of the object that this one comes from, which keeps the loop running
            for both.
    """

    def __init__(self, name: str, lender: BlockingBridge | None = None) -> None:
        self.owner = lender is None
        self._name = name
        self._ref: PortalRef = PortalRef() if lender is None else lender._ref

    @property
    def acquired(self) -> bool:
        """Whether the loop is kept running: there was a call, and no end."""
        return self._ref.acquired

    def call(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled.

        After the end `work` is called all the same: what was ended knows best what to say.
        """
        check_process(self._name, self._ref.pid)
        portal = self._ref.acquire()
        return call_once(work, *args) if portal is None else portal.run(partial(work, *args))

    async def call_async(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """`call` from another event loop; cancelled, it cancels `work`. Not after the end."""
        check_process(self._name, self._ref.pid)
        # To start the loop is to wait for it.
        portal = self._ref.portal or await finish(in_thread(self._ref.acquire))
        if portal is None:
            raise ClosedError(CLOSED)
        loop = running_loop(f"this {self._name}")
        outcome: asyncio.Future[Outcome[T]] = loop.create_future()

        def done(found: Outcome[T]) -> None:
            with suppress(RuntimeError):  # the other loop is closed
                loop.call_soon_threadsafe(_settle, outcome, found)

        call = PortalCall(portal, partial(work, *args), done)
        try:
            portal.submit(call)
            return (await outcome).unwrap()
        except asyncio.CancelledError:
            call.cancel()
            raise

    def release(self) -> None:
        """Need the loop no more. Waits for its end if nobody else needs it."""
        if self.owner:
            self._ref.release()

    def end(self, work: Callable[..., Awaitable[object]], *args: Any, wait: bool = True) -> None:
        """Run `work` as the last thing, and release the loop; without effect if it is released.

        An interrupt ends the wait alone. Without `wait` a thread does all this, and `ClosedError`
        is dropped: something else has ended the object then. A borrowed loop is not released. At
        the exit of the program `work` is left out.
        """
        last = partial(work, *args)
        end = self._ref.release if self.owner else self.call
        if wait:
            end(last)
        else:
            end_aside(_unless_closed, end, last)

    def end_dropped(self, work: Callable[..., Awaitable[object]], *args: Any) -> bool:
        """Have a thread `end` an object, from its `__del__`. Returns whether it was open.

        At the exit of the program it counts as ended: all workers are killed then, and no thread
        can be started. In a forked process it is the parent's.
        """
        is_open = self._ref.releasable
        if is_open:
            self.end(work, *args, wait=False)
        return is_open


def _unless_closed(end: Callable[[Any], object], last: Callable[[], Awaitable[object]]) -> None:
    with suppress(ClosedError):
        end(last)


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
