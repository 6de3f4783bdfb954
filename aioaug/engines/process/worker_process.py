"""One operating-system process and its executor. Everything here blocks: use threads."""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import SemLock
from typing import Any

from ..._aio.at_exit import killed_at_exit
from ..._base.descriptors import process_descriptor, socket_pair
from ..._base.pickling import main_program
from ..._transport import messages
from ..._worker import main as worker_main
from ..._worker.reports import ReportLevels
from ...errors import ClosedError
from . import helper_processes, semaphores, start_conditions
from .watched_process import WatchedProcess, WatchingContext

# Seconds that a start may take when the worker is not wanted any more.
_STUCK = 10.0


class WorkerProcess:
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
        self._semaphores: list[SemLock] = []
        self._process_lock = threading.Lock()
        self._stop_lock = threading.Lock()
        self._killed = False

    @property
    def pid(self) -> int | None:
        """The number of the process while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def exit_fd(self) -> int | None:
        """A descriptor that becomes readable when the worker that was spawned has ended."""
        return None if self._process is None else self._process.exit_fd

    def spawn(self) -> socket.socket:
        """Start a worker and return the parent's end of the connection to it."""
        killed_at_exit(os.getpid()).add(self)  # before there is anything that could be left behind
        with self._process_lock:
            if self._killed:
                raise ClosedError("the engine was closed")
            start_conditions.prepare(self._context)
            with helper_processes.ready(self._context.get_start_method()):
                ours, theirs = socket_pair()
                try:
                    _introduce(ours)
                    self._start(theirs)
                except BaseException:
                    ours.close()
                    raise
                finally:
                    theirs.close()
        ours.setblocking(False)
        return ours

    def _start(self, connection: socket.socket) -> None:
        context: Any = WatchingContext(self._context)
        executor = ProcessPoolExecutor(
            1,
            mp_context=context,
            initializer=worker_main.serve,
            initargs=(connection, main_program(), ReportLevels.of_this_process()),
        )
        try:
            executor.submit(worker_main.leave)
        except BaseException:
            # The process may be there, and the thread that the executor looks after it with not.
            if context.process is not None:
                context.process.end()
                context.process.close()
            executor.shutdown(wait=False)
            raise
        self._executor, self._process = executor, context.process
        self._semaphores = semaphores.semaphores_of(executor)

    def unlink_semaphores(self) -> None:
        """Leave no names of semaphores; the worker must have answered already, or be gone."""
        named, self._semaphores = self._semaphores, []
        semaphores.unlink(named)

    def abort(self) -> None:
        """End the worker at once, whatever it does, and start no other."""
        self.kill_for_good()
        self.stop()

    def kill_for_good(self) -> None:
        """Kill the process that runs, or is being started, and start no other."""
        self._killed = True
        self.kill()

    def stop(self) -> None:
        """Wait until the worker is gone; its connection must have been closed."""
        with self._stop_lock:
            executor, self._executor = self._executor, None
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)
        with self._process_lock:
            process, self._process = self._process, None
            self.unlink_semaphores()
            if process is not None:
                # Read only now: of two who wait for a process, the later one reads nonsense.
                process.end()
                self.exitcode = process.exitcode
                process.close()
        killed_at_exit(os.getpid()).discard(self)

    def kill(self) -> None:
        """Kill the process that runs now, if one does. Does not wait, but for its start."""
        if not self._process_lock.acquire(timeout=_STUCK):
            # multiprocessing waits for the fork server without any bound, stuck as it may be.
            helper_processes.kill_server()
            self._process_lock.acquire()
        try:
            if self._process is not None:
                self._process.kill()
        finally:
            self._process_lock.release()

    def wait(self) -> None:
        """Wait until the executor has seen that its process is gone.

        At its exit concurrent.futures speaks to all executors, without the lock under which they
        hang up: one that does so in that moment makes it print a traceback. And an interrupt while
        it waits for an executor's thread has Python take that thread for ended, for everybody.
        """
        with self._stop_lock:
            executor = self._executor
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)


def _introduce(ours: socket.socket) -> None:
    """Leave word for the worker who its parent is: a descriptor that tells of this process's end.

    It watches that beside the connection: the parent's end of it, and all that multiprocessing has
    for this, may be open in a process that was forked from the parent, and live on.
    """
    fd = process_descriptor(os.getpid())
    try:
        messages.send(ours, b"-", () if fd is None else (fd,))
    finally:
        if fd is not None:
            os.close(fd)


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
        context.set_forkserver_preload(["aioaug._worker.preload"])
    return context
