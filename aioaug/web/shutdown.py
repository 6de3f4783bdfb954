"""Tells open streams that the server was told to stop: servers themselves wait for their ends."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ShutdownWatch:
    """Sets an event of everybody who watches when SIGTERM or SIGINT comes.

    uvicorn, gunicorn's workers and hypercorn have handlers of these signals, by Python's `signal`
    or by the event loop. Each is called as before, after the events were set. Where the default
    would end the process at once, or in a thread that may not set handlers, nothing is changed.
    There is one of these for the process, as signals are the process's.
    """

    def __init__(self) -> None:
        self._events: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._before: dict[int, Any] = {}
        self._told = False

    @contextmanager
    def watching(self) -> Iterator[asyncio.Event]:
        """An event that is set when the process is told to stop, or at once if it has been."""
        event = asyncio.Event()
        self._events[event] = asyncio.get_running_loop()
        if self._told:
            event.set()
        self._install()
        try:
            yield event
        finally:
            del self._events[event]
            if not self._events:
                self._restore()

    def _install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            before = signal.getsignal(number)
            # A server may have set its own since: then that one is called from now on.
            if callable(before) and before != self._hear:
                self._before[number] = before
                signal.signal(number, self._hear)

    def _restore(self) -> None:
        self._told = False
        if threading.current_thread() is not threading.main_thread():
            return
        for number, before in self._before.items():
            if signal.getsignal(number) == self._hear:
                signal.signal(number, before)
        self._before.clear()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        for event, loop in tuple(self._events.items()):
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(event.set)
        self._before[number](number, frame)


_watch = ShutdownWatch()


def watching_shutdown() -> Any:
    """A context that gives an `asyncio.Event`, set when this process is told to stop."""
    return _watch.watching()
