"""How to wait and to start threads although a signal may interrupt that at any step.

Signal handlers run in the main thread, between any two of its steps. They may raise an exception,
as Ctrl-C does, or call the very object whose method they interrupt. If this happens between the
step that takes a lock of Python's own (`Condition`, `Event`, `Future`) and the one that makes sure
of its release, the lock stays taken for ever, and whoever needs it next hangs.
"""

from __future__ import annotations

import _thread
import atexit
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from .results import Outcome, attempt
from .system_limits import named

T = TypeVar("T")


class Answer(Generic[T]):
    """The result of a call in another thread; any number of threads may wait for it.

    Unlike a `concurrent.futures.Future` it has no lock: each waiter has a queue of its own.
    """

    def __init__(self) -> None:
        self.outcome: Outcome[T] | None = None  # once it is there
        self._bells: dict[SimpleQueue[None], None] = {}

    def give(self, outcome: Outcome[T]) -> None:
        """Set the result; without effect if it is set already."""
        if self.outcome is None:
            self.outcome = outcome
            for bell in self._bells.copy():  # others may begin to wait meanwhile
                bell.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is there, or for so many seconds; returns whether it is."""
        bell: SimpleQueue[None] = SimpleQueue()
        self._bells[bell] = None
        try:
            if self.outcome is None:
                with suppress(Empty):
                    bell.get(timeout=None if timeout is None else max(0.0, timeout))
        finally:
            self._bells.pop(bell, None)
        return self.outcome is not None

    def get(self) -> T:
        """Wait for the result of the call: return what it returned, or raise what it raised."""
        while (outcome := self.outcome) is None:
            self.wait()
        try:
            return outcome.unwrap()
        finally:
            del outcome, self  # an exception would keep itself alive, by way of its traceback


def undisturbed(fn: Callable[..., T], *args: Any) -> T:
    """Call `fn` in a thread, where no signal handler runs, and wait for it.

    If the wait is interrupted, `fn` still runs to its end. It may take locks that are taken in
    this way only, since no signal can interrupt a thread that holds one.
    """
    if threading.get_ident() != threading.main_thread().ident or sys.is_finalizing():
        return fn(*args)
    answer: Answer[T] = Answer()
    try:
        start_aside(lambda: answer.give(attempt(fn, *args)), name="aioaug-undisturbed")
    except RuntimeError:  # there is no thread, which lasts only at the exit
        return fn(*args)
    return answer.get()


def start_aside(fn: Callable[..., object], *args: Any, name: str) -> None:
    """Call `fn` in a daemon thread, safe from interrupts; `LimitError` if there is no thread.

    `Thread.start` waits for the new thread by an `Event`, so another thread does that.
    """
    thread = threading.Thread(target=fn, args=args, name=name, daemon=True)
    with named("a thread"):
        _thread.start_new_thread(_start, (thread, fn, args))


def _start(thread: threading.Thread, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
    try:
        thread.start()
    except RuntimeError:  # there is no second thread; then this one does it
        fn(*args)


def call_at_exit(fn: Callable[[], object]) -> None:
    """Have `fn` called at the exit of the program, before Python waits for threads that may hang.

    The hook for this is not public, but concurrent.futures uses it, too. If it is interrupted,
    Python leaves out what is still to be called, so `atexit` calls `fn` once more.
    """
    getattr(threading, "_register_atexit", atexit.register)(fn)
    atexit.register(fn)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C for a moment at the end of the program, which it would only delay.

    Has no effect in other threads than the main one, where there are no interrupts.
    """
    before = None
    if threading.get_ident() == threading.main_thread().ident:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
