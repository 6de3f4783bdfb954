"""The parent's end of the connection to one worker, on the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence

from ..._transport.messages import Messages, Reply, Report, Request, framed, from_worker
from ..assignment import Assignment
from .link import Link


class ConnectionLost(Exception):
    """The worker at the other end is gone; what it was asked first may be what ended it."""


class NotBegun(ConnectionLost):
    """The worker is gone, and it was still busy with an earlier question."""


class Connection:
    """Sends messages and pairs each with the reply; replies come in the order of questions.

    Reports come at any time, also between `hang_up` and `close`; `reported` is called with each.
    """

    def __init__(
        self,
        connection: socket.socket,
        exit_fd: int | None,
        reported: Callable[[Report], object],
    ) -> None:
        self._pending: deque[Assignment[Reply]] = deque()
        self._messages = Messages(from_worker)
        self._reported = reported
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.replied = 0.0  # when the last reply came
        self._link = Link(connection, exit_fd, received=self._received, lost=self._ended)

    def send(
        self, work: Assignment[Reply], request: Request, descriptors: Sequence[int] = ()
    ) -> None:
        """Send a request; the work gets the reply, or `ConnectionLost` if the worker is gone.

        Descriptors go along with it, and must stay open until then.
        """
        if self.lost.done():
            work.fail(NotBegun())
            return
        self._pending.append(work)
        for piece in framed(request):
            self._link.write(piece, descriptors)
            descriptors = ()

    @property
    def pending(self) -> tuple[Assignment[Reply], ...]:
        """What has no reply yet; the other side is busy with the first of it."""
        return tuple(self._pending)

    def hang_up(self) -> None:
        """Have the worker leave; `close` has to follow when it is gone."""
        self._link.hang_up()
        self._ended()

    def close(self) -> None:
        """Take in what the worker said before it was gone, and let go of the connection."""
        self._link.drain()
        self._link.close()
        self._ended()

    def abandon(self) -> None:
        """`close` from another thread; if the event loop is closed, nobody is told of it."""
        try:
            self._loop.call_soon_threadsafe(self.close)
        except RuntimeError:
            self._link.close()

    def _received(self, data: bytes) -> None:
        self._messages.add(data)
        while (message := self._messages.take()) is not None:
            if isinstance(message, Report):
                self._reported(message)
            elif self._pending:  # nobody waits for replies after `hang_up`
                self.replied = self._loop.time()
                self._pending.popleft().succeed(message)

    def _ended(self) -> None:
        reason: type[ConnectionLost] = ConnectionLost
        while self._pending:
            self._pending.popleft().fail(reason())
            reason = NotBegun
        if not self.lost.done():
            self.lost.set_result(None)
