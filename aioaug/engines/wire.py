"""The parent's end of the wire to one worker, on the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from .._wire import HEADER, frame, length_of


class Wire(asyncio.Protocol):
    """Sends messages and pairs each with the answer; answers come in the order of questions."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._questions: deque[asyncio.Future[bytes]] = deque()
        self._data = bytearray()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ask(self, message: bytes) -> asyncio.Future[bytes]:
        """Send a message; the future gets the answer, or `EOFError` if the worker is gone."""
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._transport is None or self.lost.done():
            answer.set_exception(EOFError())
        else:
            self._questions.append(answer)
            self._transport.write(frame(message))
        return answer

    def close(self) -> None:
        """Hang up, upon which the worker leaves."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= HEADER:
            end = HEADER + length_of(self._data)
            if len(self._data) < end:
                return
            message = bytes(memoryview(self._data)[HEADER:end])
            del self._data[:end]
            answer = self._questions.popleft()
            if not answer.done():
                answer.set_result(message)

    def connection_lost(self, error: Exception | None) -> None:
        while self._questions:
            answer = self._questions.popleft()
            if not answer.done():
                answer.set_exception(EOFError())
        if not self.lost.done():
            self.lost.set_result(None)
