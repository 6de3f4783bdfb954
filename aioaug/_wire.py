"""What travels between the parent and a worker, and how it is framed."""

from __future__ import annotations

import pickle
import socket
import struct
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from ._slots import Address, Span, identity

_LENGTH = struct.Struct("!Q")
HEADER = _LENGTH.size
_AT_ONCE = 1 << 16
# Descriptors that one receipt may bring: a sender sends one with a message, and the kernel does not
# join such messages. Windows has no such thing.
_CARRIED = 4 if hasattr(socket, "SCM_RIGHTS") and hasattr(socket.socket, "recvmsg") else 0
_ANCILLARY = socket.CMSG_SPACE(_CARRIED * array("i").itemsize) if _CARRIED else 0
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Request(NamedTuple):
    """Work for a worker: the pickled `(fn, args)` and where its arrays lie.

    `dropped` are segments that the worker has to let go of. `weigh` asks for its memory.
    """

    head: bytes
    segment: Address | None = None
    spans: tuple[Span, ...] = ()
    dropped: tuple[int, ...] = ()
    weigh: bool = False


class Reply(NamedTuple):
    """A worker's answer: the pickled outcome and where its arrays lie.

    `seconds` is how long the work took. `needed` is the size of a segment that would have held
    the arrays, if this one did not. `kept` says that something in the worker still refers to
    the segment. `refused` says why the worker could not open the segment, and that it did nothing.
    `memory` is what the worker has for itself, in bytes, 0 if nobody asked or nobody knows.
    """

    head: bytes
    spans: tuple[Span, ...] = ()
    seconds: float = 0.0
    needed: int = 0
    kept: bool = False
    refused: str = ""
    memory: int = 0


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
            # What does not fit into whole numbers was cut off.
            numbers.frombytes(carried[: len(carried) - len(carried) % numbers.itemsize])
    return data, list(numbers)


def frame(message: bytes) -> bytes:
    """`message` with its length before it."""
    return _LENGTH.pack(len(message)) + message


def length_of(header: bytes | bytearray | memoryview) -> int:
    """The length of the message behind this header."""
    length: int = _LENGTH.unpack_from(header)[0]
    return length


class Inbox:
    """Takes whole messages off a blocking socket, with as few calls as they come in."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = bytearray()
        self._descriptors: list[int] = []

    def receive(self) -> bytes:
        """Wait for the next message; `EOFError` when the other side is gone."""
        self._fill(HEADER)
        end = HEADER + length_of(self._data)
        self._fill(end)
        message = bytes(memoryview(self._data)[HEADER:end])
        del self._data[:end]
        return message

    def take_descriptor(self, wanted: tuple[int, int]) -> int | None:
        """The descriptor of a file that was sent along with a message, if it arrived."""
        for place, fd in enumerate(self._descriptors):
            if identity(fd) == tuple(wanted):
                return self._descriptors.pop(place)
        return None

    def reply(self, reply: Reply) -> None:
        """Send a reply, and wait until it is sent."""
        self._connection.sendall(frame(pickle.dumps(tuple(reply), protocol=5)))

    def _fill(self, count: int) -> None:
        while len(self._data) < count:
            data, descriptors = received(self._connection, max(_AT_ONCE, count - len(self._data)))
            self._descriptors += descriptors
            if not data:
                raise EOFError
            self._data += data
