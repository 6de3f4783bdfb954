"""The thread with the event loop that blocking programs run on."""

from __future__ import annotations

import atexit
import importlib.util
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, BlockingPortalProvider

from ..engines.keeper import killed_at_exit

T = TypeVar("T")


def call(work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
    with _host(os.getpid()) as portal:
        future = portal.start_task_soon(work, *args)
        try:
            result: T = future.result()
            return result
        except BaseException:
            future.cancel()  # no matter if it has ended; an interrupt ends the wait alone
            raise
        finally:
            # An exception would keep its own future alive, by way of its traceback.
            del future


class Lease:
    """Keeps the loop running for somebody. Taken and returned from any thread, idempotent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.portal: BlockingPortal | None = None
        self._over = False
        self.pid = os.getpid()

    def take(self) -> bool:
        """Keep the loop running until `give_back`, after which this has no effect.

        Returns whether it is kept running.
        """
        with self._lock:
            if self.portal is None and not self._over:
                self.portal = _host(self.pid).__enter__()
                _taken(self.pid).add(self)
            return self.portal is not None

    def give_back(self) -> None:
        """Need the loop no more; what is called later has it for the time of the call."""
        with self._lock:
            portal, self.portal, self._over = self.portal, None, True
        if portal is not None:
            _taken(self.pid).discard(self)
            _host(self.pid).__exit__(None, None, None)


@cache
def _host(pid: int) -> BlockingPortalProvider:
    """The host of a process: one loop for all, so that a loader can be an augmenter's source.

    It starts with the first that needs it and ends with the last. A process that was forked has
    one of its own, since threads are not forked.
    """
    uvloop = importlib.util.find_spec("uvloop") is not None
    return BlockingPortalProvider("asyncio", {"use_uvloop": uvloop})


@cache
def _taken(pid: int) -> weakref.WeakSet[Lease]:
    """What keeps the loop of a process running."""
    return weakref.WeakSet()


def _stand_still() -> None:
    """At the exit of a program that left something open: have the loop do nothing any more.

    It could not clean up, since no thread can be started now, but would complain of the workers
    that are killed next. And the portal, whose own end would wait for a thread that is gone by
    then, must not be dropped: a frame of that thread refers to it for ever.
    """
    host = _host(os.getpid())
    if _taken(os.getpid()):
        with host as portal:
            portal.start_task_soon(_wait_for_ever, host)


def _wait_for_ever(host: BlockingPortalProvider) -> None:
    threading.Event().wait()


def _part_from_parent() -> None:
    """In a process that was forked: its copy of the portal must not wait for a loop at its end."""
    for lease in tuple(_taken(os.getppid())):
        if lease.portal is not None:
            with suppress(StopIteration):
                lease.portal.stop().send(None)


# Before the workers are killed: what is registered last is called first.
killed_at_exit(os.getpid())
getattr(threading, "_register_atexit", atexit.register)(_stand_still)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_part_from_parent)
