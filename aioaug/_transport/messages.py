"""What travels between the parent and a worker, and how it is framed."""

from __future__ import annotations

import pickle
import socket
import struct
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from .._base.descriptors import keep_arrived
from .segments import Address, Span

# The length in bytes of all that follows, and of its first part, which is all but the head.
_LENGTHS = struct.Struct("!QI")
_RECEIVE_BYTES = 1 << 16
# How many descriptors one call of recvmsg has room for. A sender sends one with a message, and the
# kernel does not join messages that carry descriptors. Windows cannot send any.
_CARRIED = 4 if hasattr(socket, "SCM_RIGHTS") and hasattr(socket.socket, "recvmsg") else 0
_ANCILLARY = socket.CMSG_SPACE(_CARRIED * array("i").itemsize) if _CARRIED else 0
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Request(NamedTuple):
    """Work for a worker: the pickled `(fn, args)` and where its arrays lie.

    `dropped` are the numbers of segments that the worker has to close. With `report_memory` the
    reply says how much memory the worker has.
    """

    head: bytes | memoryview
    segment: Address | None = None
    spans: tuple[Span, ...] = ()
    dropped: tuple[int, ...] = ()
    report_memory: bool = False


class Reply(NamedTuple):
    """A worker's answer: the pickled outcome and where its arrays lie.

    `seconds` is how long the work took. `needed` is the size of a segment that would have held
    the arrays, if this one did not. `kept` says that something in the worker still refers to
    the segment. `refused` says why the worker could not open the segment, and that it did nothing.
    `memory` is the worker's memory that no other process shares, in bytes; 0 if it was not asked
    for, or if the system does not tell.
    """

    head: bytes | memoryview
    spans: tuple[Span, ...] = ()
    seconds: float = 0.0
    needed: int = 0
    kept: bool = False
    refused: str = ""
    memory: int = 0


class Report(NamedTuple):
    """What a worker says without being asked, pickled: a log record or a warning."""

    head: bytes | memoryview


Message: TypeAlias = Request | Reply | Report
M = TypeVar("M", bound=Message)


def send(
    connection: socket.socket, data: bytes | memoryview, descriptors: Sequence[int] = ()
) -> int:
    """Send `data`, or the first part of it, along with descriptors; returns its length."""
    if not descriptors:
        return connection.send(data)
    numbers = array("i", descriptors)
    return connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])


def received(connection: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """What has arrived, at most `size` bytes, and the descriptors that came along."""
    if _CARRIED == 0:
        return connection.recv(size), []
    data, ancillary, _, _ = connection.recvmsg(size, _ANCILLARY, _CLOSE_ON_EXEC)
    numbers = array("i")
    for level, kind, carried in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            # If there was no room for a descriptor, a part of its number may be left at the end.
            numbers.frombytes(carried[: len(carried) - len(carried) % numbers.itemsize])
    return data, list(numbers)


def from_worker(head: bytes | memoryview, *about: Any) -> Reply | Report:
    """The message that a worker sent: only a reply has more than a head."""
    return Reply(head, *about) if about else Report(head)


def framed(message: Message) -> tuple[bytes | memoryview, ...]:
    """The bytes of a message, in pieces, so that a large head need not be copied."""
    head, *about = message
    described = pickle.dumps(about, protocol=5)
    start = _LENGTHS.pack(len(described) + len(head), len(described)) + described
    return (start + head,) if len(head) < _RECEIVE_BYTES else (start, head)


class Messages(Generic[M]):
    """Cuts what arrives into the messages that were framed."""

    def __init__(self, kind: Callable[..., M]) -> None:
        self._kind = kind
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        """Take in what has arrived."""
        self._data += data

    @property
    def missing(self) -> int:
        """At least so many bytes of the next message are missing; 0 if it is complete."""
        return max(0, self._end() - len(self._data))

    def take(self) -> M | None:
        """The next message, if all of it is there."""
        end = self._end()
        if len(self._data) < end:
            return None
        _, length = _LENGTHS.unpack_from(self._data)
        middle = _LENGTHS.size + length
        with memoryview(self._data) as view:
            about = pickle.loads(view[_LENGTHS.size : middle])
            head: bytes | memoryview = b"" if len(view) == end else bytes(view[middle:end])
        if len(self._data) == end:  # a large head is not copied again
            head, self._data = memoryview(self._data)[middle:], bytearray()
        else:
            del self._data[:end]
        return self._kind(head, *about)

    def _end(self) -> int:
        if len(self._data) < _LENGTHS.size:
            return _LENGTHS.size
        return _LENGTHS.size + int(_LENGTHS.unpack_from(self._data)[0])


class WorkerConnection:
    """The worker's end of the connection. It blocks, and each call reads as much as there is.

    Descriptors that come along are kept for `take_arrived`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._messages = Messages(Request)
        self._unsent: deque[Reply | Report] = deque()
        self._sending = False
        self._lock = RLock()

    def receive(self) -> Request:
        """Wait for the next message; `EOFError` when the other side is gone."""
        while (message := self._messages.take()) is None:
            size = max(_RECEIVE_BYTES, self._messages.missing)
            data, descriptors = received(self._connection, size)
            for fd in descriptors:
                keep_arrived(fd)
            if not data:
                raise EOFError
            self._messages.add(data)
        return message

    def send(self, message: Reply | Report) -> None:
        """Send a message, from any thread, and wait until it is sent.

        A finalizer or a signal handler may log in the midst of this, in the same thread. Its
        report is sent after the message under way, and not between two pieces of that.
        """
        self._unsent.append(message)
        with self._lock:
            if self._sending:
                return
            self._sending = True
            try:
                while self._unsent:
                    for piece in framed(self._unsent.popleft()):
                        self._connection.sendall(piece)
            finally:
                self._sending = False
