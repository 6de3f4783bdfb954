"""Starts a process of multiprocessing that does not import the caller's main program.

multiprocessing has every new process import that program at once. This takes seconds and hundreds
of megabytes where it imports PyTorch, runs a script without a guard a second time, and fails for a
program that is read from standard input. multiprocessing also lets a daemonic process start
nothing, since children would outlive it; workers of this package end when their parent does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from multiprocessing import spawn
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FunctionType, SimpleNamespace
from typing import Any

from ..._base.pickling import MAIN_KEYS
from . import helper_processes

_POPEN = {
    "forkserver": "multiprocessing.popen_forkserver",
    "spawn": "multiprocessing.popen_spawn_posix",
}
_nobody_is_daemonic = SimpleNamespace(_config={})


def start(process: BaseProcess, method: str) -> None:
    """Start a process, from a daemonic one as well, that leaves the main program alone."""
    if os.name != "nt":
        vars(process)["_Popen"] = partial(_popen, method)
    _with_globals(BaseProcess.start, _current_process=_nobody_is_daemonic)(process)


def _popen(method: str, process: BaseProcess) -> Any:
    del vars(process)["_Popen"]  # it would be pickled along with the process
    return _popen_class(method)(process)


def _popen_class(method: str) -> Callable[[BaseProcess], Any]:
    original = import_module(_POPEN[method]).Popen
    exchanged: dict[str, Any] = {"spawn": _SpawnWithoutMain()}
    own = {}
    if method == "forkserver":
        exchanged["forkserver"] = _ForkServerAskedInTurn()
        own["poll"] = _poll_one_at_a_time(original.poll)
    own["_launch"] = _with_globals(original._launch, **exchanged)
    return type("Popen", (original,), own)


def _poll_one_at_a_time(original: Callable[..., int | None]) -> Callable[..., int | None]:
    """`Popen.poll` of the fork server, of which the later one of two at once reads nonsense.

    How a process ended can be read once. Every start of a process and `active_children` look at
    all processes, too, in whatever thread.
    """
    lock = threading.Lock()

    def poll(self: Any, flag: int = os.WNOHANG) -> int | None:
        if self.returncode is None and wait([self.sentinel], 0 if flag == os.WNOHANG else None):
            with lock:
                return original(self, os.WNOHANG)
        code: int | None = self.returncode
        return code

    return poll


class _SpawnWithoutMain:
    """The module `multiprocessing.spawn`, but that it does not name the main program."""

    def __getattr__(self, name: str) -> Any:
        return getattr(spawn, name)

    def get_preparation_data(self, name: str) -> dict[str, Any]:
        data = spawn.get_preparation_data(name)
        return {key: value for key, value in data.items() if key not in MAIN_KEYS}


class _ForkServerAskedInTurn:
    """The module `multiprocessing.forkserver`, whose server is not begun anew while it is asked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("multiprocessing.forkserver"), name)

    def connect_to_new_process(self, descriptors: list[int]) -> tuple[int, int]:
        return helper_processes.connect_to_new_process(descriptors)


def _with_globals(function: Any, **exchanged: Any) -> Any:
    """The same function with some of its module's globals exchanged, for this caller alone.

    Were they exchanged in the module, all that the program starts by itself would change, too.
    """
    names = {**function.__globals__, **exchanged}
    return FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
