"""A socket on the event loop that loses nothing of what the other side said before it went."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..._transport import messages

_AT_ONCE = 1 << 16
# The kernel will not carry descriptors now. Whoever needs them says that they did not come.
_NOT_CARRIED = (errno.ETOOMANYREFS, errno.EMFILE, errno.ENFILE)
_NO_READERS = (
    "this event loop cannot wait for sockets (it has no add_reader); "
    "run a selector loop, such as asyncio.SelectorEventLoop on Windows, or use engine='thread'"
)


class Link:
    """Sends and receives bytes, and descriptors; says when the other process is gone.

    asyncio's own transports give up at the first write that fails, and drop what could still be
    read. Here replies that a worker gave before it died are received first; so it is known which
    of its questions it had begun.

    `exit_fd` becomes readable when the other process has ended. Its end of the socket may be
    open even then, in a process that it forked.
    """

    def __init__(
        self,
        connection: socket.socket,
        exit_fd: int | None,
        *,
        received: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._exit_fd = exit_fd
        self._received = received
        self._lost = lost
        self._unsent: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._deaf = False  # the other side: what is written goes nowhere
        self._open = True
        try:
            self._loop.add_reader(connection.fileno(), self._read)
            if exit_fd is not None:
                self._loop.add_reader(exit_fd, self._read_rest)
        except BaseException as error:
            self._open = False
            connection.close()
            if isinstance(error, NotImplementedError):
                raise RuntimeError(_NO_READERS) from None
            raise

    def write(self, data: bytes | memoryview, descriptors: Sequence[int] = ()) -> None:
        """Send data, now or as soon as the other side takes it. Descriptors must stay open."""
        if self._deaf or not self._open:
            return
        if self._unsent:
            self._unsent.append((memoryview(data), descriptors))
            return
        sent = self._send(data, descriptors)
        if sent < len(data):
            self._unsent.append((memoryview(data)[sent:], () if sent else descriptors))
            self._loop.add_writer(self._connection.fileno(), self._write_on)

    def hang_up(self) -> None:
        """Send nothing more, and tell the other side; what it says is still received.

        Its end is not watched any more: whoever calls this waits for that by itself.
        """
        if not self._open:
            return
        self._deaf = True
        self._unsent.clear()
        self._loop.remove_writer(self._connection.fileno())
        if self._exit_fd is not None:
            self._loop.remove_reader(self._exit_fd)
            self._exit_fd = None
        self._shut()

    def drain(self) -> None:
        """Receive what has arrived."""
        while self._open and self._read():
            pass

    def close(self) -> None:
        """Hang up; nothing is received any more. Idempotent."""
        if not self._open:
            return
        self._open = False
        self._unsent.clear()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._connection.fileno())
            self._loop.remove_writer(self._connection.fileno())
            if self._exit_fd is not None:
                self._loop.remove_reader(self._exit_fd)
        self._shut()
        self._connection.close()

    def _shut(self) -> None:
        # A process that was forked from this one may have the descriptor, too; then closing
        # ours would not tell the other side anything.
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def _read(self) -> bool:
        """Receive what one call brings; returns whether there may be more."""
        try:
            data = self._connection.recv(_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if data:
            self._received(data)
            return self._open
        self._end()
        return False

    def _read_rest(self) -> None:
        """The process is gone: receive what it had sent."""
        self.drain()
        self._end()

    def _end(self) -> None:
        if self._open:
            self.close()
            self._lost()

    def _write_on(self) -> None:
        while self._unsent:
            data, descriptors = self._unsent[0]
            sent = self._send(data, descriptors)
            if self._deaf:
                break
            if sent < len(data):
                self._unsent[0] = (data[sent:], () if sent else descriptors)
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._connection.fileno())

    def _send(self, data: bytes | memoryview, descriptors: Sequence[int]) -> int:
        try:
            return messages.send(self._connection, data, descriptors)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if descriptors and error.errno in _NOT_CARRIED:
                return self._send(data, ())
            # It may have answered before it hung up; the end is where reading says so.
            self._deaf = True
            self._unsent.clear()
            return len(data)
