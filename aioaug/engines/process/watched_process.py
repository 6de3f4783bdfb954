"""Processes of multiprocessing whose end is seen whatever becomes of its own helpers."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from ..._base.descriptors import process_descriptor
from . import process_launch

# The exit code that multiprocessing invents for what ended after its fork server.
_UNTOLD = 255


class WatchedProcess:
    """A process of multiprocessing whose end is seen whoever holds its descriptors.

    multiprocessing knows of it by a pipe that a process forked by the worker would keep open, and
    that closes when the fork server dies, whose workers live on. Where there is one, only the fork
    server is told how the process ended.
    """

    def __init__(self, process: BaseProcess, method: str) -> None:
        self._process = process
        self._method = method
        self._told = method != "forkserver"
        self._own_fd: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    def start(self) -> None:
        process_launch.start(self._process, self._method)
        if self._process.pid is not None:
            self._own_fd = process_descriptor(self._process.pid)

    @property
    def exitcode(self) -> int | None:
        """How it ended; `None` also where the fork server, which knew, ended first."""
        code = self._process.exitcode
        return None if code == _UNTOLD and not self._told else code

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
        if self._process.pid is None:
            return  # it was not started
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


class WatchingContext:
    """A multiprocessing context whose processes are watched; it remembers the last one."""

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self.process: WatchedProcess | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def Process(self, *args: Any, **kwargs: Any) -> WatchedProcess:
        process = self._context.Process(*args, **kwargs)  # type: ignore[attr-defined]
        process.name = process.name.replace(type(process).__name__, "aioaug-worker")
        self.process = WatchedProcess(process, self._context.get_start_method())
        return self.process
