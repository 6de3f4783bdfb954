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
from .portal import CLOSED, Portal, PortalCall
from .shared_portal import PortalRef, TemporaryRef, is_ending
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

    The first call starts the loop, if it does not run, and `end` or `release` lets go of it. From
    the first call on the object is kept alive, so that its user can be dropped before it. An
    interrupt (Ctrl-C) cancels the call that it comes to, and the object stays usable. In a process
    that was forked from the one that made the first call, calls raise `RuntimeError`.

    Args:
        name: what error messages call the object.
        thing: the object, if it may be dropped before its end.
        lender: the bridge of the object that this one comes from, which keeps the loop running
            for both. Then `hold` keeps the object alive, and calls do not.
    """

    def __init__(
        self, name: str, thing: object = None, lender: BlockingBridge | None = None
    ) -> None:
        self._owner = lender is None
        self._name = name
        self._thing = thing
        self._holder: Portal | None = None  # keeps the object alive
        self._ref: PortalRef = PortalRef() if lender is None else lender._ref

    @property
    def acquired(self) -> bool:
        """Whether the loop is kept running: there was a call, and no end."""
        return self._ref.acquired

    def hold(self) -> None:
        """Keep the object alive until its end, if the loop runs."""
        if (portal := self._ref.portal) is not None:
            portal.held[id(self._thing)] = self._thing
            self._holder = portal

    def call(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled.

        After the end `work` is called all the same: what was ended knows best what to say.
        """
        check_process(self._name, self._ref.pid)
        portal = self._acquire()
        return call_once(work, *args) if portal is None else portal.run(partial(work, *args))

    async def call_async(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """`call` from another event loop; cancelled, it cancels `work`. Not after the end."""
        check_process(self._name, self._ref.pid)
        # To start the loop is to wait for it.
        portal = (self._holder and self._ref.portal) or await finish(in_thread(self._acquire))
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
        if self._owner:
            self._ref.release()
        self._let_go()

    def end(self, work: Callable[..., Awaitable[object]], *args: Any, wait: bool = True) -> None:
        """Run `work` as the last thing, and release the loop; without effect if it is released.

        An interrupt ends the wait alone. Without `wait` a thread does all this, and `ClosedError`
        is dropped: something else has ended the object then. A borrowed loop is not released. At
        the exit of the program `work` is left out.
        """
        last = partial(work, *args)
        if wait:
            self._end(last)
        else:
            end_aside(_unless_closed, self._end, last)

    def end_dropped(self, work: Callable[..., Awaitable[object]], *args: Any) -> bool:
        """Have a thread `end` an object, from its `__del__`. Returns whether it was open.

        At the exit of the program it counts as ended: all workers are killed then, and no thread
        can be started. In a forked process it is the parent's.
        """
        is_open = self._ref.releasable and (self._owner or self._holder is not None)
        if is_open:
            self.end(work, *args, wait=False)
        return is_open

    def _acquire(self) -> Portal | None:
        portal = self._ref.acquire()
        if self._owner and self._holder is None:
            self.hold()
        return portal

    def _end(self, last: Callable[[], Awaitable[object]]) -> None:
        try:
            if self._owner:
                self._ref.release(last)
            else:
                self.call(last)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None and not is_ending():
            holder.held.pop(id(self._thing), None)


def _unless_closed(end: Callable[[Any], object], last: Callable[[], Awaitable[object]]) -> None:
    try:
        end(last)
    except ClosedError:
        pass
    except Exception:
        if not is_ending():  # when nothing can be started that an end may need
            raise


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
