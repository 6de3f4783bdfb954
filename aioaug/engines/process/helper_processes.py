"""The helper processes of multiprocessing: what they refuse, and their death, as clear errors."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait

from ..._base.descriptors import need_descriptors, process_descriptor, standard_streams_filled
from ..._base.limits import named
from ...errors import WorkerDied

_FORKED = (
    "this process was forked from one that has a fork server, which multiprocessing cannot use "
    "from here; build the pool with start_method='spawn', or fork before the first pool is used"
)
# More descriptors than the start of a worker and of the helpers opens. multiprocessing would lose
# what it has opened, and the process, if there was one too few in the middle of it.
_NEEDED = 32
# Seconds in which a fork server that does not answer any more has ended.
_DYING = 2.0


@contextmanager
def ready(start_method: str) -> Iterator[None]:
    """Have the helpers run, and one clear error for whatever keeps a process from being started.

    `LimitError` for what the system refuses, `WorkerDied` if the fork server was killed meanwhile.
    """
    server: int | None = None
    try:
        with named("a worker process"), standard_streams_filled():
            need_descriptors(_NEEDED)
            _shield_from_interrupts()
            if start_method == "forkserver":
                server = _start_server()
            yield
    except ChildProcessError as error:
        raise RuntimeError(_FORKED) from error
    except (EOFError, ConnectionError) as error:
        _await_end(server)
        raise WorkerDied(None, "starting") from error


def kill_server() -> None:
    """Kill the fork server, which ends every wait for it; its workers live on."""
    pid = _server()
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _shield_from_interrupts() -> None:
    """Have the fork server, if it starts now, start with SIGINT blocked, and so all its workers.

    Else Ctrl-C in the first second of a program prints a traceback of the server's own imports.
    It is for this thread only, and threads of `in_thread` end with their one call.
    """
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # it would unblock the signal again when it starts
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _start_server() -> int | None:
    from multiprocessing import forkserver

    forkserver.ensure_running()
    return _server()


def _server() -> int | None:
    """The number of the fork server's process, where this release of CPython says it."""
    from multiprocessing import forkserver

    pid: int | None = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    return pid


def _await_end(server: int | None) -> None:
    """Wait until a fork server that has been killed is gone, unless there is another one already.

    The next start begins another one only then; until then all tries would fail like this one.
    """
    if server is None or server != _server():
        return
    fd = process_descriptor(server)
    if fd is not None:
        try:
            wait([fd], _DYING)
        finally:
            os.close(fd)
