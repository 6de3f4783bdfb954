"""Responses and websockets that own a stream, so that it ends with them however they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from .._aio.tasks import finish, in_thread, settled
from .._base.arguments import one_of
from ..augmenters.batch_forms import known_bytes
from .frames import FORMATS, MIXED, StreamFormat, StreamFrame, frames_of
from .overflow import Overflow, OverflowStream
from .shutdown import watching_shutdown

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

# What is larger is written into bytes in a thread, in order not to hold up the event loop.
_WRITTEN_HERE = 1 << 19
_NORMAL, _GOING_AWAY, _FAILED = 1000, 1001, 1011


class StreamingBatches(Response):
    """A response that sends the batches of a stream, and owns it.

    The stream ends when the response does: when it is complete, when the client goes away, when the
    server is told to stop by SIGTERM or SIGINT, when the task is cancelled, and when the stream or
    a middleware raises an error; also behind `BaseHTTPMiddleware` and `GZipMiddleware`. Then its
    queued work is dropped, and its memory is free.

    Batches are sent in the order of the stream. A client that reads slowly holds up its stream
    only: `overflow` says whether the stream waits, or what it drops, see `OverflowStream`.

    Args:
        stream: an async iterator, as `pool.imap_batches` returns it.
        media_type: `"multipart/x-mixed-replace"` for pictures that a browser shows as a moving one,
            `"text/event-stream"`, `"application/x-ndjson"` or `"application/x-npy"`. Batches are
            bytes of picture files, arrays (N,H,W,C) of any dtype that are sent as npy, or lists
            of these; for events and lines, mappings that are ready for JSON, too. Have the
            pool's `dump=` make them, in the workers.
        overflow: `"block"`, `"drop_oldest"` or `"latest"`.
        size: how many batches are kept with `"drop_oldest"`.
        headers: of the response.

    `dropped` tells how many batches were dropped.

    Raises:
        ValueError: an unknown `media_type` or `overflow`.
        TypeError: `stream` is no async iterator.

    Example::

        async def pictures(request):
            stream = request.app.state.pool.imap_batches(camera(), output_buffer_size=4)
            return StreamingBatches(stream, overflow="latest")
    """

    def __init__(
        self,
        stream: AsyncIterator[Any],
        media_type: str = MIXED,
        *,
        overflow: Overflow = "block",
        size: int = 8,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._format = FORMATS[one_of("media_type", media_type, FORMATS)]
        self._stream = OverflowStream(stream, overflow, size)
        self._begun = False
        self.status_code = 200
        self.media_type = self._format.media_type
        self.background = None
        # Proxies such as nginx would collect frames before they pass them on.
        own = {"cache-control": "no-store", "x-accel-buffering": "no"}
        self.init_headers({**own, **(headers or {})})

    @property
    def dropped(self) -> int:
        """How many batches the client missed because it was slow."""
        return self._stream.dropped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything; the stream has ended when this returns or raises."""
        if scope.get("method") == "HEAD":
            async with self._stream:
                await self._end_early(send)
            return
        async with self._stream, AsyncExitStack() as stack:
            told = stack.enter_context(watching_shutdown())
            sending = asyncio.ensure_future(self._send(send))
            await until_first(sending, until_disconnected(receive), told.wait())
            stopped = told.is_set() and sending.cancelled()
        if stopped:
            await self._end_early(send)

    async def _send(self, send: Send) -> None:
        await self._begin(send)
        async for batch in self._stream:
            body = await written(self._format, batch)
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send) -> None:
        self._begun = True
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})

    async def _end_early(self, send: Send) -> None:
        if not self._begun:
            await self._begin(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def stream_websocket(
    websocket: WebSocket,
    stream: AsyncIterator[Any],
    *,
    overflow: Overflow = "block",
    size: int = 8,
) -> int:
    """Send the batches of a stream over a websocket, and end the stream however that ends.

    It accepts the connection, if that was not done. Each picture or array is a binary message; what
    is said of it, if anything, is a text message of JSON before it. A mapping is such a text, too.
    Messages of the client are read and not looked at. The connection is closed with 1000 after the
    last batch, with 1001 when the server is told to stop, and with 1011 when the stream fails, with
    the error raised here.

    `overflow` and `size` are as for `StreamingBatches`. Returns how many batches were dropped.

    Example::

        async def live(websocket):
            await stream_websocket(websocket, pool.imap_batches(camera()), overflow="latest")
    """
    async with OverflowStream(stream, overflow, size) as frames, AsyncExitStack() as stack:
        told = stack.enter_context(watching_shutdown())
        if websocket.application_state is WebSocketState.CONNECTING:
            await websocket.accept()
        sending = asyncio.ensure_future(_send_messages(websocket, frames))
        code = _NORMAL
        try:
            await until_first(sending, _left(websocket), told.wait())
            code = _GOING_AWAY if told.is_set() else _NORMAL
        except Exception:
            code = _FAILED
            raise
        finally:
            if websocket.client_state is WebSocketState.CONNECTED:
                with suppress(RuntimeError, WebSocketDisconnect, OSError):
                    await websocket.close(code)
        return frames.dropped


async def until_first(*work: Awaitable[Any]) -> None:
    """Wait for the first of some awaitables, end the others, and raise what the first raised.

    However it is left, none of them runs any more.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await finish(settled(tasks))
    for task in done:
        if not task.cancelled():
            task.result()


async def written(writer: StreamFormat, batch: Any) -> bytes:
    """The bytes of a batch; large ones are made in a thread."""
    if not isinstance(batch, StreamFrame) and (known_bytes(batch) or 0) > _WRITTEN_HERE:
        return await in_thread(writer.write, batch)
    return writer.write(batch)


async def until_disconnected(receive: Receive) -> None:
    """Wait until the client of a request has gone; its body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _left(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _send_messages(websocket: WebSocket, frames: AsyncIterator[Any]) -> None:
    async for batch in frames:
        try:
            await _send_message(websocket, batch)
        except WebSocketDisconnect:
            return


async def _send_message(websocket: WebSocket, batch: Any) -> None:
    if isinstance(batch, Mapping):
        await websocket.send_text(json.dumps(batch))
        return
    for frame in frames_of(batch):
        if frame.about:
            await websocket.send_text(json.dumps(frame.about))
        await websocket.send_bytes(frame.content)
