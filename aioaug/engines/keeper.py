"""Keeps one worker process by an executor of its own. Everything here blocks: use threads."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import socket
import threading
import weakref
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from .. import _worker
from ..errors import ClosedError
from . import surroundings

# Seconds that a worker has to be gone after it hung up, before it is killed.
_GRACE = 1.0

_FORKED = (
    "this process was forked from one that has a fork server, which multiprocessing cannot use "
    "from here; build the pool with start_method='spawn', or fork before the first pool is used"
)


class Keeper:
    """A `ProcessPoolExecutor` of one worker that makes a single call: to serve a connection.

    One executor for all workers would break as a whole when one of them dies, could not kill a
    single one, and deadlocks on `max_tasks_per_child` in many releases of CPython.
    """

    def __init__(self, context: BaseContext) -> None:
        self.exitcode: int | None = None  # of the last worker that ended
        self._context = context
        self._executor: ProcessPoolExecutor | None = None
        self._process: BaseProcess | None = None
        self._process_lock = threading.Lock()
        self._stop_lock = threading.Lock()
        self._killed = False

    def spawn(self) -> socket.socket:
        """Start a worker and return the parent's end of the connection to it."""
        with self._process_lock:
            if self._killed:
                raise ClosedError("the engine was closed")
            surroundings.prepare(self._context)
            _shield_helpers_from_interrupts()
            ours, theirs = socket.socketpair()
            context: Any = _Watched(self._context)
            executor = ProcessPoolExecutor(
                1, mp_context=context, initializer=_worker.connect, initargs=(theirs,)
            )
            try:
                executor.submit(_worker.serve)
            except ChildProcessError as error:
                ours.close()
                raise RuntimeError(_FORKED) from error
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
            self._executor, self._process = executor, context.process
        killed_at_exit(os.getpid()).add(self)
        ours.setblocking(False)
        return ours

    def kill(self) -> None:
        """End the worker at once, whatever it does, and start no other."""
        self._killed = True
        self.expel()
        self.stop()

    def stop(self) -> None:
        """Wait until the worker is gone; its connection must have been closed."""
        with self._stop_lock:
            executor, self._executor = self._executor, None
            if executor is not None:
                impatience = threading.Timer(_GRACE, self.expel)
                impatience.daemon = True
                impatience.start()
                executor.shutdown(wait=True, cancel_futures=True)
                impatience.cancel()
        with self._process_lock:
            process, self._process = self._process, None
            if process is not None:
                # Read only now: of two who wait for a process, the later one reads nonsense.
                self.exitcode = process.exitcode
                process.close()

    def expel(self) -> None:
        """Kill the process that runs now, if one does."""
        with self._process_lock:
            if self._process is not None:
                self._process.kill()

    def settle(self) -> None:
        """Wait until the executor has seen that its process is gone.

        At its exit concurrent.futures speaks to all executors, without the lock under which they
        hang up: one that does so in that moment makes it print a traceback.
        """
        executor = self._executor
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)


def _shield_helpers_from_interrupts() -> None:
    """Have the fork server, if it starts now, start with SIGINT blocked, and so all its workers.

    Else Ctrl-C in the first second of a program prints a traceback of the server's own imports.
    It is for this thread only, and threads of `in_thread` end with their one call.
    """
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # it would unblock the signal again when it starts
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@cache
def killed_at_exit(pid: int) -> weakref.WeakSet[Keeper]:
    """The keepers of this process, whose workers are killed when its interpreter exits.

    A program may end with a pool that nobody closed. Python then waits for the threads of all
    executors, which wait for their processes, which would wait for work. `atexit` comes after
    that; what comes before it is not public, but concurrent.futures itself relies on it.
    """
    keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()

    def kill_all() -> None:
        if os.getpid() == pid:  # and not in a process that was forked from it
            left = tuple(keepers)
            for keeper in left:
                keeper.expel()
            for keeper in left:
                keeper.settle()

    register = getattr(threading, "_register_atexit", atexit.register)
    register(kill_all)
    return keepers


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


def refuse_daemons() -> None:
    """Raise `RuntimeError` in a daemonic process, which multiprocessing lets have no children."""
    if multiprocessing.current_process().daemon:
        raise RuntimeError(
            "this process is daemonic, as those of multiprocessing.Pool and Celery are, so it "
            "cannot have worker processes; use engine='thread', or a process that is not daemonic"
        )
