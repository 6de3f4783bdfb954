"""A thread that runs an event loop, for those who have none."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal

from .._threads import DaemonExecutor
from ..shortcuts import run

T = TypeVar("T")

# Seconds that a clean end may take when the program ends.
_PATIENCE = 3.0

_open: weakref.WeakSet[Portal] = weakref.WeakSet()


class Portal:
    """Runs coroutine functions for threads that block; starts at once.

    If the program ends while it is open, `ending` is awaited over there, and then `last_resort`
    is called, in any thread.
    """

    def __init__(
        self, ending: Callable[[], Awaitable[object]], last_resort: Callable[[], object]
    ) -> None:
        self.ending = ending
        self.last_resort = last_resort
        self._thread = DaemonExecutor(1, "aioaug-portal")
        ready: Future[BlockingPortal] = Future()
        self._thread.submit(lambda: run(_serve(ready)))
        self._portal = ready.result()
        _open.add(self)

    def submit(self, fn: Callable[..., Awaitable[T]], *args: Any) -> Future[T]:
        """Begin `await fn(*args)` over there; cancelling the future cancels it."""
        if self not in _open:  # its thread may be frozen already, and would never answer
            raise RuntimeError("the portal is closed, or belongs to a parent of this process")
        return self._portal.start_task_soon(fn, *args)

    def call(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        """`await fn(*args)` over there, and wait for it; Ctrl-C cancels it."""
        future = self.submit(fn, *args)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, *, wait: bool = True) -> None:
        """End the loop and its thread, when what runs there has ended."""
        if self in _open:
            _open.discard(self)
            self._portal.start_task_soon(self._portal.stop)
            self._thread.shutdown(wait)


async def _serve(ready: Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        ready.set_result(portal)
        await portal.sleep_until_stopped()


def _end_all() -> None:
    for portal in tuple(_open):
        # From Python 3.12 on no thread can be started any more, which a clean end may need.
        with suppress(Exception):
            portal.submit(portal.ending).result(_PATIENCE)
        _open.discard(portal)
        portal.last_resort()


# Programs that use blocking iterators seldom end them. Executors are joined when a program ends,
# before `atexit` has its turn, and would wait for ever for workers that nobody ends.
threading._register_atexit(_end_all)  # type: ignore[attr-defined]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)  # their threads are the parent's alone
