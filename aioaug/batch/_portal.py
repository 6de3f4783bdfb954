"""An event loop in a thread of its own, for callers that have none: anyio's blocking portal."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal


class Portal:
    """Started by its first call, ended by `close`. Used from any thread but its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._context: Any = None
        self._portal: BlockingPortal | None = None

    def start(self) -> BlockingPortal:
        """Wait until there is a loop; at once if there is one."""
        with self._lock:
            if self._portal is None:
                self._context = start_blocking_portal("asyncio", name=self._name)
                self._portal = self._context.__enter__()
            return self._portal

    def submit(self, fn: Callable[..., Awaitable[Any]], *args: Any) -> Future[Any]:
        """Run a coroutine function on the loop; cancelling the future cancels it."""
        return self.start().start_task_soon(fn, *args)

    def call(self, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run a coroutine function on the loop and wait for it; Ctrl-C cancels it."""
        future = self.submit(fn, *args)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Wait for what runs, then end the thread. Idempotent; the next call starts anew."""
        with self._lock:
            context, self._context, self._portal = self._context, None, None
        if context is not None:
            context.__exit__(None, None, None)
