"""Threads that never hold up the end of the program."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from typing import Any, TypeVar

from ..errors import LimitError
from .results import Outcome, attempt
from .system_limits import named

T = TypeVar("T")
_of_this_thread = threading.local()
_Call = tuple[Future[Any], Callable[[], Any]]


def start_thread(fn: Callable[..., object], *args: Any, name: str) -> threading.Thread:
    """Start a daemon thread; `LimitError` if the system has none to give."""
    thread = threading.Thread(target=fn, args=args, name=name, daemon=True)
    with named("a thread"):
        thread.start()
    return thread


def set_end(end: Future[None]) -> None:
    """Say that what this thread does is wanted by nobody once this future is done."""
    _of_this_thread.end = end


def end_of_interest() -> Future[None]:
    """A future that is done when nobody wants what this thread does any more.

    Who waits for long in a thread of somebody else's waits for this, too. Where nobody has said
    when that is, it is never done.
    """
    end: Future[None] | None = getattr(_of_this_thread, "end", None)
    return Future() if end is None else end


class DaemonExecutor(Executor):
    """An executor of daemon threads, started on demand.

    If the system gives no more threads, the existing ones do the work. If there is none, `submit`
    raises `LimitError`.

    The standard library's `ThreadPoolExecutor` waits for all its threads when the interpreter
    exits, so that one stuck call would hang a program that has ended.
    """

    def __init__(self, max_workers: int, name: str) -> None:
        self._max_workers = max_workers
        self._name = name
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot submit to an executor that was shut down")
            self._calls.append((future, lambda: fn(*args, **kwargs)))
            if self._idle >= len(self._calls):
                self._changed.notify()
            elif len(self._threads) < self._max_workers:
                self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._changed:
            self._closed = True
            dropped = list(self._calls) if cancel_futures else []
            if dropped:
                self._calls.clear()
            self._changed.notify_all()
        for future, _ in dropped:
            future.cancel()
        if wait:
            for thread in self._threads:
                thread.join()

    def abandon(self) -> None:
        """Begin no further call, and drop those that wait: nobody waits for their futures."""
        with self._changed:
            self._closed = True
            self._calls.clear()
            self._changed.notify_all()

    def _start(self) -> None:
        try:
            name = f"{self._name}-{len(self._threads)}"
            self._threads.append(start_thread(self._serve, name=name))
        except LimitError:
            if not self._threads:
                self._calls.pop()  # nobody would ever make the call
                raise

    def _serve(self) -> None:
        while (call := self._next()) is not None:
            _run(*call)
            del call  # while this thread waits it must not keep a batch alive

    def _next(self) -> _Call | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._calls or self._closed)
            self._idle -= 1
            return self._calls.popleft() if self._calls else None


def attempt_each(
    fn: Callable[[T], Any], left: deque[tuple[int, T]], *, threads: int, seconds: float | None
) -> dict[int, Outcome[Any]]:
    """The outcome of a call for each item, by its number; those that end in time, if that is given.

    It blocks. The calls are made in up to so many threads, in the context of the caller, and no
    more of them when `left`, the items that none was made for so far, is cleared by anybody. Each
    thread starts the next one before its own first call, for as long as there are calls: quick
    ones are made before many threads have started. So the list grows while it is waited for.
    """
    found: dict[int, Outcome[Any]] = {}
    serving: list[Future[None]] = []
    count = min(threads, len(left))
    executor = DaemonExecutor(count, "aioaug-item")
    deadline = None if seconds is None else time.monotonic() + seconds

    def start() -> None:
        if left and len(serving) < count:
            serving.append(executor.submit(contextvars.copy_context().run, serve))

    def serve() -> None:
        with suppress(RuntimeError):  # it was shut down in this moment
            start()
        while left:
            try:
                number, item = left.popleft()
            except IndexError:  # another thread was first
                return
            found[number] = attempt(fn, item)

    try:
        start()
        for thread in serving:
            wait([thread], None if deadline is None else max(0.0, deadline - time.monotonic()))
        return dict(found)
    finally:
        left.clear()
        executor.shutdown(wait=all(thread.done() for thread in serving))


def refuse_at_exit() -> None:
    """Raise `RuntimeError` if the program is at its end, where Python starts no threads."""
    if not threading.main_thread().is_alive():
        raise RuntimeError(
            "the program is at its end, where Python starts no threads any more, so that no pool "
            "can start in a function of atexit; use it before the main script ends"
        )


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
