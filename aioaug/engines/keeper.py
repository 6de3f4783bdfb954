"""Keeps one worker process by an executor of its own. Everything here blocks: use threads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from .. import _wire, _worker
from .._descriptors import (
    need_descriptors,
    process_descriptor,
    socket_pair,
    standard_streams_filled,
)
from .._interrupts import at_exit, interrupts_ignored
from ..errors import ClosedError, WorkerDied
from ..limits import named

_FORKED = (
    "this process was forked from one that has a fork server, which multiprocessing cannot use "
    "from here; build the pool with start_method='spawn', or fork before the first pool is used"
)
# The exit code that multiprocessing invents for what ended after its fork server, which alone
# would have been told.
_UNTOLD = 255
# More descriptors than the start of a worker, the fork server and the resource tracker opens.
_NEEDED = 32


class Keeper:
    """A `ProcessPoolExecutor` of one worker that serves one connection.

    One executor for all workers would break as a whole when one of them dies, could not kill a
    single one, and deadlocks on `max_tasks_per_child` in many releases of CPython. The worker
    serves as soon as it has started, and not when the executor's queue brings it a call: for that
    the executor needs one more thread, and when there is none it says so to nobody.
    """

    def __init__(self, context: BaseContext) -> None:
        self.exitcode: int | None = None  # of the worker, once it has ended
        self._context = context
        self._executor: ProcessPoolExecutor | None = None
        self._process: WatchedProcess | None = None
        self._process_lock = threading.Lock()
        self._stop_lock = threading.Lock()
        self._killed = False

    @property
    def exit_fd(self) -> int | None:
        """A descriptor that becomes readable when the worker that was spawned has ended."""
        return None if self._process is None else self._process.exit_fd

    def spawn(self) -> socket.socket:
        """Start a worker and return the parent's end of the connection to it."""
        with self._process_lock:
            if self._killed:
                raise ClosedError("the engine was closed")
            with _one_error(), standard_streams_filled():
                need_descriptors(_NEEDED)
                _shield_helpers_from_interrupts()
                ours, theirs = socket_pair()
                try:
                    _introduce(ours)
                    self._start(theirs)
                except BaseException:
                    ours.close()
                    raise
                finally:
                    theirs.close()
        killed_at_exit(os.getpid()).add(self)
        ours.setblocking(False)
        return ours

    def _start(self, connection: socket.socket) -> None:
        context: Any = _Watching(self._context)
        executor = ProcessPoolExecutor(
            1, mp_context=context, initializer=_worker.serve, initargs=(connection,)
        )
        try:
            executor.submit(_worker.leave)
        except BaseException:
            # The process may be there, and the thread that the executor looks after it with not.
            if context.process is not None:
                context.process.end()
                context.process.close()
            executor.shutdown(wait=False)
            raise
        self._executor, self._process = executor, context.process

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
                executor.shutdown(wait=True, cancel_futures=True)
        with self._process_lock:
            process, self._process = self._process, None
            if process is not None:
                # Read only now: of two who wait for a process, the later one reads nonsense.
                process.end()
                self.exitcode = self._told(process.exitcode)
                process.close()

    def _told(self, exitcode: int | None) -> int | None:
        forked = self._context.get_start_method() == "forkserver"
        return None if forked and exitcode == _UNTOLD else exitcode

    def expel(self) -> None:
        """Kill the process that runs now, if one does. Does not wait, but for its start."""
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


@contextmanager
def _one_error() -> Iterator[None]:
    """Have one clear error for whatever keeps a process from being started."""
    try:
        with named("a worker process"):
            yield
    except ChildProcessError as error:
        raise RuntimeError(_FORKED) from error
    except (EOFError, ConnectionError) as error:
        # The fork server was killed just now; the next start begins with another one.
        raise WorkerDied(None, "starting") from error


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
            with interrupts_ignored():
                for keeper in left:
                    keeper.expel()
                for keeper in left:
                    keeper.settle()

    at_exit(kill_all)
    return keepers


def _introduce(ours: socket.socket) -> None:
    """Leave word for the worker who its parent is: a descriptor that tells of this process's end.

    It watches that beside the connection: the parent's end of it, and all that multiprocessing has
    for this, may be open in a process that was forked from the parent, and live on.
    """
    fd = process_descriptor(os.getpid())
    try:
        _wire.send(ours, b"-", () if fd is None else (fd,))
    finally:
        if fd is not None:
            os.close(fd)


class WatchedProcess:
    """A process of multiprocessing whose end is seen whoever holds its descriptors.

    multiprocessing knows of it by a pipe that a process forked by the worker would keep open, and
    that closes when the fork server dies, whose workers live on.
    """

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self._own_fd: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    def start(self) -> None:
        self._process.start()
        if self._process.pid is not None:
            self._own_fd = process_descriptor(self._process.pid)

    @property
    def sentinel(self) -> int:
        """What the executor waits for."""
        return self._process.sentinel if self._own_fd is None else self._own_fd

    @property
    def exit_fd(self) -> int | None:
        """The same for an event loop; on Windows it is nothing that one could wait for."""
        return None if os.name == "nt" else self.sentinel

    def kill(self) -> None:
        """Kill it, and no other process that has its number by now."""
        if self._own_fd is None:
            self._process.kill()
        else:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._own_fd, signal.SIGKILL)

    def terminate(self) -> None:
        """Nothing: an executor that breaks does this, but its worker serves without it."""

    def end(self) -> None:
        """Kill it if it is still there, and wait until it is gone."""
        if self._process.pid is None:  # it never got as far as that
            return
        if not wait([self.sentinel], 0):
            self.kill()
        self._process.join()

    def close(self) -> None:
        """Let go of all that stands for it."""
        fd, self._own_fd = self._own_fd, None
        if fd is not None:
            os.close(fd)
        # Where the program ignores SIGCHLD the kernel tells nobody how a child ended, and
        # multiprocessing takes it for running for ever.
        with suppress(ValueError):
            self._process.close()


class _Watching:
    """A multiprocessing context whose processes are watched; it remembers the last one."""

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self.process: WatchedProcess | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def Process(self, *args: Any, **kwargs: Any) -> WatchedProcess:
        process = self._context.Process(*args, **kwargs)  # type: ignore[attr-defined]
        self.process = WatchedProcess(process)
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
