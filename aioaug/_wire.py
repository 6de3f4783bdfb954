"""What travels between the parent and a worker, and how it is framed."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from ._slots import Address, Span

_LENGTH = struct.Struct("!Q")
HEADER = _LENGTH.size
_AT_ONCE = 1 << 16


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

    def receive(self) -> bytes:
        """Wait for the next message; `EOFError` when the other side is gone."""
        self._fill(HEADER)
        end = HEADER + length_of(self._data)
        self._fill(end)
        message = bytes(memoryview(self._data)[HEADER:end])
        del self._data[:end]
        return message

    def _fill(self, count: int) -> None:
        while len(self._data) < count:
            received = self._connection.recv(max(_AT_ONCE, count - len(self._data)))
            if not received:
                raise EOFError
            self._data += received
