"""Our file descriptors: none is 0, 1 or 2, even if the program has closed those."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Up to here the numbers mean standard input, output and error to every program and C library.
_STANDARD = 3


def above_standard(fd: int) -> int:
    """The same open file under a number that is not one of the standard streams'.

    A daemon closes those, and the next descriptor opened takes their place. Then a message that
    some C library writes to standard error would be written into the pixels of a batch.
    """
    if fd >= _STANDARD:
        return fd
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STANDARD)
    finally:
        os.close(fd)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, neither of them in the place of a standard stream."""
    ours, theirs = socket.socketpair()
    try:
        return _moved(ours), _moved(theirs)
    except BaseException:
        ours.close()
        theirs.close()
        raise


def need_descriptors(count: int) -> None:
    """Raise `OSError` unless `count` more descriptors can be opened now.

    For code that opens several, and does not close the first of them when a later one fails.
    """
    opened: list[int] = []
    try:
        opened.append(os.open(os.devnull, os.O_RDONLY))
        while len(opened) < count:
            opened.append(os.dup(opened[0]))
    finally:
        for fd in opened:
            os.close(fd)


def process_descriptor(pid: int) -> int | None:
    """A descriptor that stands for a process and becomes readable at its end.

    `None` where the system has no such thing, as before Linux 5.3, or no descriptor left.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return above_standard(os.pidfd_open(pid))
    except OSError:
        return None


def identity(fd: int) -> tuple[int, int]:
    """What tells the file behind a descriptor from all others: device and inode."""
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def keep_arrived(fd: int) -> None:
    """Keep a descriptor that another process sent, until `take_arrived` asks for its file."""
    _arrived.setdefault(identity(fd), []).append(fd)


def take_arrived(wanted: tuple[int, int]) -> int | None:
    """A descriptor of this file, if one has arrived; the caller closes it.

    On macOS all files of POSIX shared memory look the same; what came first goes first.
    """
    fds = _arrived.get(wanted)
    if not fds:
        return None
    fd = fds.pop(0)
    if not fds:
        del _arrived[wanted]
    return fd


def fill_standard_streams() -> list[int]:
    """Open the null device in the place of each standard stream that is closed.

    Programs that are started meanwhile inherit it. Returns what was opened.
    """
    opened = []
    while (fd := os.open(os.devnull, os.O_RDWR)) < _STANDARD:
        os.set_inheritable(fd, True)
        opened.append(fd)
    os.close(fd)
    return opened


@contextmanager
def standard_streams_filled() -> Iterator[None]:
    """Have all standard streams open for a while, for code whose descriptors cannot be moved."""
    with _filling:
        if not _filled.users:
            _filled.opened = fill_standard_streams()
        _filled.users += 1
    try:
        yield
    finally:
        with _filling:
            _filled.users -= 1
            if not _filled.users:
                for fd in _filled.opened:
                    os.close(fd)


class _Filled:
    """What was opened for all who are inside `standard_streams_filled` now."""

    users = 0
    opened: list[int]


# Without a lock: only workers are sent any, and one thread of a worker uses this.
_arrived: dict[tuple[int, int], list[int]] = {}
_filling = threading.Lock()
_filled = _Filled()


def _moved(end: socket.socket) -> socket.socket:
    return end if end.fileno() >= _STANDARD else socket.socket(fileno=above_standard(end.detach()))
