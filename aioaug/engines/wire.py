"""The parent's end of the wire to one worker, on the event loop."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from contextlib import suppress
from typing import Any, cast

from .._wire import HEADER, Reply, frame, length_of


class Lost(Exception):
    """The worker at the other end is gone; what it was asked first may be what ended it."""


class NotBegun(Lost):
    """The worker is gone, and it was still busy with an earlier question."""


class Wire(asyncio.Protocol):
    """Sends messages and pairs each with the reply; replies come in the order of questions."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._questions: deque[asyncio.Future[Reply]] = deque()
        self._data = bytearray()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ask(self, message: bytes) -> asyncio.Future[Reply]:
        """Send a message; the future gets the reply, or `Lost` if the worker is gone."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._transport is None or self.lost.done():
            answer.set_exception(NotBegun())
        else:
            self._questions.append(answer)
            self._transport.write(frame(message))
        return answer

    def close(self) -> None:
        """Hang up, upon which the worker leaves."""
        if self._transport is not None and not self._transport.is_closing():
            # A process that was forked from this one may have the descriptor, too; then closing
            # ours would not tell the worker anything.
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._transport.close()

    def abandon(self) -> None:
        """Close the socket when the event loop is closed, which would have to close it."""
        transport: Any = self._transport
        self._transport = None
        with suppress(Exception):
            # uvloop has closed it along with itself, and has no such method. Whoever waits for an
            # answer is told, which needs the loop, too; the socket is closed nevertheless.
            transport._call_connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= HEADER:
            end = HEADER + length_of(self._data)
            if len(self._data) < end:
                return
            reply = Reply(*pickle.loads(memoryview(self._data)[HEADER:end].tobytes()))
            del self._data[:end]
            answer = self._questions.popleft()
            if not answer.done():
                answer.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        reason: type[Lost] = Lost
        while self._questions:
            answer = self._questions.popleft()
            if not answer.done():
                answer.set_exception(reason())
            reason = NotBegun
        if not self.lost.done():
            self.lost.set_result(None)
