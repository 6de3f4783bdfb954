"""One worker process and the executor that serves it. Everything here blocks: use threads."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from .. import _wire, _worker
from ..errors import ClosedError, WorkerDied
from ..outcomes import Failure


class Lane:
    """A `ProcessPoolExecutor` of one worker, replaced when the worker dies or has done its share.

    One executor for all would break as a whole when one worker dies, could not kill a single
    one, and deadlocks on `max_tasks_per_child` in many releases of CPython.
    """

    def __init__(self, context: BaseContext, state: bytes, max_tasks: int | None) -> None:
        self._context = context
        self._state = state
        self._max_tasks = max_tasks
        self._tasks = 0
        self._executor: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None
        self._exitcode: int | None = None
        self._process_lock = threading.Lock()
        self._stop_lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the worker if there is none, and wait until it holds the state."""
        if self._executor is None:
            self._tasks = 0
            started = _wire.loads(self._await(self._spawn(), "starting"))
            if isinstance(started, Failure):
                self._stop()
            started.unwrap()

    def work(self, request: bytes) -> bytes:
        """Have the worker answer one request; at most one such call at a time."""
        if self._tasks == self._max_tasks:
            self._stop()
        answer = self._submit(request)
        self._tasks += 1
        return self._await(answer, "working")

    def close(self) -> None:
        """Let the worker leave in good order; it must be idle."""
        self._closed = True
        self._stop()

    def kill(self) -> None:
        """End the worker at once, whatever it does. A call under way raises `ClosedError`."""
        self._closed = True
        with self._process_lock:
            if self._process is not None:
                self._process.kill()
        self._stop()

    def _submit(self, request: bytes) -> Future[bytes]:
        for _ in range(2):
            self.start()
            try:
                if self._executor is not None:
                    return self._executor.submit(_worker.call, request)
            except RuntimeError:  # also BrokenProcessPool: it died idle, so the call was not begun
                self._stop()
        raise WorkerDied(self._exitcode, "waiting for work")

    def _spawn(self) -> Future[bytes]:
        with self._process_lock:
            if self._closed:
                raise ClosedError("the engine was closed")
            context: Any = _Watched(self._context)
            executor = ProcessPoolExecutor(1, mp_context=context)
            future = executor.submit(_worker.start, self._state)
            self._executor, self._process = executor, context.process
            return future

    def _await(self, answer: Future[bytes], doing: str) -> bytes:
        try:
            return answer.result()
        except (BrokenProcessPool, CancelledError):
            self._stop()
            if self._closed:
                raise ClosedError("the engine was closed") from None
            raise WorkerDied(self._exitcode, doing) from None

    def _stop(self) -> None:
        with self._stop_lock:
            executor, self._executor = self._executor, None
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)
        with self._process_lock:
            process, self._process = self._process, None
            if process is not None:
                # Read only now: of two who wait for a process, the later one reads nonsense.
                self._exitcode = process.exitcode
                process.close()


class _Watched:
    """A multiprocessing context that remembers the last process it made."""

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self.process: BaseProcess | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def Process(self, *args: Any, **kwargs: Any) -> BaseProcess:
        self.process = self._context.Process(*args, **kwargs)  # type: ignore[attr-defined]
        return self.process


def context_for(start_method: str | None) -> BaseContext:
    """The multiprocessing context for new workers: a fork server where there is one."""
    known = multiprocessing.get_all_start_methods()
    method = start_method or ("forkserver" if "forkserver" in known else "spawn")
    if method == "fork" or method not in known:
        # A fork of a process with threads and a running loop inherits locks that nobody frees.
        choices = ", ".join(repr(name) for name in known if name != "fork")
        raise ValueError(f"start_method must be one of {choices}, got {start_method!r}")
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["aioaug._preload"])
    return context
