"""What must not be cut short by a signal, and how to wait so that nothing is lost if that is.

Handlers of signals run in the main thread, between any two steps of it. They may raise there, as
Ctrl-C does, or call the very thing whose steps they interrupt. Between the two steps that take a
lock of Python's own (`Condition`, `Event`, `Future`) and those that make sure that it is returned
they leave it locked for ever, and whoever needs it next hangs.
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

from .limits import named
from .results import Outcome, attempt

T = TypeVar("T")


class Answer(Generic[T]):
    """What another thread is going to say, once; any number may wait for it.

    Unlike a `concurrent.futures.Future` it is never locked: waiters have a bell each.
    """

    def __init__(self) -> None:
        self.outcome: Outcome[T] | None = None  # once it is there
        self._bells: dict[SimpleQueue[None], None] = {}

    def give(self, outcome: Outcome[T]) -> None:
        """Say it; without effect if it was said already."""
        if self.outcome is None:
            self.outcome = outcome
            for bell in tuple(self._bells):
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
        """Wait for it; what was returned over there, or raise what was raised there."""
        while (outcome := self.outcome) is None:
            self.wait()
        try:
            return outcome.unwrap()
        finally:
            del outcome, self  # an exception would keep itself alive, by way of its traceback


def undisturbed(fn: Callable[..., T], *args: Any) -> T:
    """Call `fn` where no handler runs, and wait for it.

    If the wait is interrupted, `fn` still comes to its end. It may take locks that are taken in
    this way only: nobody is interrupted with one in hand, or comes to it in a handler.
    """
    if threading.get_ident() != threading.main_thread().ident or sys.is_finalizing():
        return fn(*args)
    answer: Answer[T] = Answer()
    try:
        start_aside(lambda: answer.give(attempt(fn, *args)), name="aioaug-undisturbed")
    except RuntimeError:  # no thread can be had, which is never so for long but at the exit
        return fn(*args)
    return answer.get()


def start_aside(fn: Callable[..., object], *args: Any, name: str) -> None:
    """Have a daemon thread call `fn`; an interrupt does no harm. `LimitError` without a thread.

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

    What comes before `atexit` is not public, but concurrent.futures itself relies on it. An
    interrupt in that moment has Python leave out what is still to be called, so `fn` is called
    once more by `atexit`.
    """
    getattr(threading, "_register_atexit", atexit.register)(fn)
    atexit.register(fn)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Have Ctrl-C do nothing for a moment, at the end of the program, which it would only hold up.

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
