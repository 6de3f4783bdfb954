"""An engine of your own: calls run in an executor of the standard library.

Any executor with threads will do here; one for a cluster sends the state along with the first
call, and keeps it there. `check_engine` tells whether an engine keeps what pools rely on.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aioaug
import imgaug.augmenters as iaa
import numpy as np
from aioaug.engines import State, attempt
from aioaug.testing import check_engine


class ExecutorEngine(aioaug.Engine):
    """Runs calls in the threads of a `ThreadPoolExecutor`."""

    def __init__(self, state: State, *, workers: int, max_tasks: int | None = None) -> None:
        super().__init__(state, workers=workers, max_tasks=max_tasks)
        self._executor: ThreadPoolExecutor | None = None
        self._states: queue.SimpleQueue[State] = queue.SimpleQueue()
        self._calls: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        if self._closed:
            raise aioaug.ClosedError("the engine is closed")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.workers)
            for _ in range(self.workers):  # each thread takes one for a call
                self._states.put(self._state.clone())
            self._started = True

    async def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        begun: Callable[[], object] | None = None,
        **hints: Any,  # ahead, limit, caller and late: an engine may do without them
    ) -> Any:
        await self.start()
        if self._executor is None:
            raise aioaug.ClosedError("the engine is closed")
        if begun is not None:
            begun()
        call = asyncio.wrap_future(self._executor.submit(self._run, fn, args))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            outcome = await call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise aioaug.ClosedError("the engine was closed") from None
        return outcome.unwrap()

    async def aclose(self, *, kill: bool = False) -> None:
        self._closed = True
        executor, self._executor = self._executor, None
        if executor is None:
            return
        if not kill and self._calls:
            await asyncio.wait(self._calls)
        for call in tuple(self._calls):
            call.cancel()
        executor.shutdown(wait=False, cancel_futures=True)

    def _run(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        state = self._states.get()
        try:
            return attempt(fn, state, *args)  # its error, if it raises one, is raised by unwrap()
        finally:
            self._states.put(state)


async def main() -> None:
    await check_engine(ExecutorEngine)
    images = np.full((4, 32, 32, 3), 128, np.uint8)
    async with aioaug.AsyncPool(iaa.Fliplr(0.5), seed=1, engine=ExecutorEngine) as pool:
        augmented = await pool.map_batches([images] * 8)
    print(len(augmented), "batches out of an engine of our own")


if __name__ == "__main__":
    asyncio.run(main())
