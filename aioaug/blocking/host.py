"""The thread with the event loop that blocking programs run on."""

from __future__ import annotations

import importlib.util
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, BlockingPortalProvider

T = TypeVar("T")

# One loop for all, so that a loader can be the source of an augmenter. It starts with the first
# that needs it and ends with the last.
_host = BlockingPortalProvider(
    "asyncio", {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
)
_taken: weakref.WeakSet[Lease] = weakref.WeakSet()


def call(work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run `work` on the loop and wait for it; if the wait is interrupted, it is cancelled."""
    with _host as portal:
        return _wait(portal, work, *args)


class Lease:
    """Keeps the loop running for somebody. Taken and returned from any thread, idempotent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._over = False

    def take(self) -> bool:
        """Keep the loop running until `give_back`, after which this has no effect.

        Returns whether it is kept running.
        """
        with self._lock:
            if not self._taken and not self._over:
                _host.__enter__()
                self._taken = True
                _taken.add(self)
            return self._taken

    def give_back(self) -> None:
        """Need the loop no more; what is called later has it for the time of the call."""
        with self._lock:
            taken, self._taken, self._over = self._taken, False, True
        if taken:
            _taken.discard(self)
            _host.__exit__(None, None, None)


def _wait(portal: BlockingPortal, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
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


def _stand_still() -> None:
    """At the exit of a program that left something open: have the loop do nothing any more.

    It could not clean up, since no thread can be started now, but would complain of the workers
    that are killed next. And the portal, whose own end would wait for a thread that is gone by
    then, must not be dropped: a frame of that thread refers to it for ever.
    """
    if _taken:
        with _host as portal:
            portal.start_task_soon(_wait_for_ever, _host)


def _wait_for_ever(host: BlockingPortalProvider) -> None:
    threading.Event().wait()


# Before the workers are killed: what is registered last is called first.
threading._register_atexit(_stand_still)  # type: ignore[attr-defined]
