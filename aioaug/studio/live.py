"""Figures of the studio while it runs: how late the event loop is, and how busy the workers are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .._aio.lag import LoopLag
from ..pool import AsyncPool
from ..web.streaming import until_disconnected, until_first

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Figures = dict[str, Any]
_TICK = 0.02
_TICKS = 25  # of half a second: so often figures are published


class LiveFigures:
    """Publishes figures to those who read; while nobody does, no timer runs.

    Each reader gets the newest figures, those that it was too slow for are dropped. `end` ends all
    readers, so that a server that is to stop need not wait for them.
    """

    def __init__(self, pool: AsyncPool) -> None:
        self._pool = pool
        self._readers: set[asyncio.Queue[Figures | None]] = set()
        self._lag: LoopLag | None = None
        self._ended = False
        self._late: list[float] = []
        self._before: tuple[float, int, float] | None = None

    def end(self) -> None:
        """End all readers. Idempotent."""
        self._ended = True
        self._stop()
        for queue in self._readers:
            _put(queue, None)

    @contextmanager
    def reading(self) -> Iterator[asyncio.Queue[Figures | None]]:
        """A queue of the figures, one at a time, twice a second; `None` is the end."""
        queue: asyncio.Queue[Figures | None] = asyncio.Queue(1)
        self._readers.add(queue)
        if self._ended:
            _put(queue, None)
        elif self._lag is None:
            self._late, self._before = [], None
            self._lag = LoopLag(_TICK, self._note)
        try:
            yield queue
        finally:
            self._readers.discard(queue)
            if not self._readers:
                self._stop()

    def _stop(self) -> None:
        if self._lag is not None:
            self._lag.stop()
            self._lag = None

    def _note(self, late: float) -> None:
        self._late.append(late)
        if len(self._late) >= _TICKS:
            figures = self._figures()
            for queue in self._readers:
                _put(queue, figures)
            self._late = []

    def _figures(self) -> Figures:
        stats = self._pool.stats()
        now = perf_counter()
        before = self._before or (now - _TICK * _TICKS, stats.batches, stats.seconds["worker"])
        self._before = now, stats.batches, stats.seconds["worker"]
        period = max(now - before[0], 1e-6)
        used = (stats.seconds["worker"] - before[2]) / (period * stats.workers)
        return {
            "per_second": round((stats.batches - before[1]) / period, 2),
            "lag": round(1000 * max(self._late), 2),
            "used": round(min(1.0, max(0.0, used)), 4),
            "busy": stats.busy,
            "workers": stats.workers,
            "waiting": stats.waiting,
            "done": stats.batches,
        }


def _put(queue: asyncio.Queue[Figures | None], figures: Figures | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(figures)


class LiveAnswer:
    """An answer of server-sent events. It ends with its client, also in the middle of sending."""

    def __init__(self, live: LiveFigures) -> None:
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the figures until the client or the server ends."""
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # The client may go in the middle of a message.
        with self._live.reading() as queue, suppress(OSError):
            await until_first(_send_all(queue, send), until_disconnected(receive))


async def _send_all(queue: asyncio.Queue[Figures | None], send: Send) -> None:
    body = b"retry: 2000\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})
    while (figures := await queue.get()) is not None:
        body = b"data: " + json.dumps(figures).encode() + b"\n\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
