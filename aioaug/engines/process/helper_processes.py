"""The helper processes of multiprocessing: what they refuse, and their death, as clear errors."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait

from ..._base.descriptors import need_descriptors, process_descriptor, standard_streams_filled
from ..._base.system_limits import named, shortage
from ...errors import WorkerDied

_FORKED = (
    "this process was forked from one that has a fork server, which multiprocessing cannot use "
    "from here; build the pool with start_method='spawn', or fork before the first pool is used"
)
# More descriptors than the start of a worker and of the helpers opens. multiprocessing would lose
# what it has opened, and the process, if there was one too few in the middle of it.
_NEEDED = 32
_NO_FORK = "multiprocessing's fork server failed at it, and printed its error"
# Seconds in which a fork server that does not answer any more has ended.
_DYING = 2.0

# multiprocessing has a server's address and descriptors for the taking while another thread, which
# found the server dead, replaces them.
_server_lock = threading.Lock()


@contextmanager
def ready(start_method: str) -> Iterator[None]:
    """Have the helpers run, and one clear error for whatever keeps a process from being started.

    `LimitError` for what the system refuses, to the fork server as well, `WorkerDied` if that was
    killed meanwhile.
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
        if _failed(server):
            raise shortage("a worker process", _NO_FORK, errno.EAGAIN) from error
        raise WorkerDied(None, "starting") from error


def kill_server() -> None:
    """Kill the fork server, which ends every wait for it; its workers live on."""
    pid = _server()
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def connect_to_new_process(descriptors: list[int]) -> tuple[int, int]:
    """Have the fork server start a process; returns the ends of the two pipes to it."""
    from multiprocessing import forkserver

    with _server_lock:
        try:
            return forkserver.connect_to_new_process(descriptors)
        except TypeError:
            # The program starts a process of its own, and a new server for it: that does not take
            # turns with the package. To ask again waits until the new server is there.
            return forkserver.connect_to_new_process(descriptors)


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

    with _server_lock:
        forkserver.ensure_running()
        return _server()


def _server() -> int | None:
    """The number of the fork server's process, where this release of CPython says it."""
    from multiprocessing import forkserver

    pid: int | None = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    return pid


def _failed(server: int | None) -> bool:
    """Whether a fork server that is gone ended by an error of its own, and was not killed.

    Waits until it is gone, unless there is another one already: the next start begins one only
    then, and until then all tries would fail like this one.
    """
    fd = None if server is None or server != _server() else process_descriptor(server)
    if fd is None:
        return False
    try:
        wait([fd], _DYING)
        # How it ended is left for multiprocessing, which asks, too.
        end = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return end is not None and end.si_code == os.CLD_EXITED and end.si_status != 0
    except ChildProcessError:
        return False
    finally:
        os.close(fd)
