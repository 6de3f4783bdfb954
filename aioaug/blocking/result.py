"""What `map_batches_async` returns to a blocking program."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
from typing import Generic, Self, TypeVar

from ..errors import AioaugError, ClosedError

T = TypeVar("T")


class ResultTimeout(AioaugError, TimeoutError, multiprocessing.TimeoutError):
    """`AsyncResult.get` gave up. It is what `except` for any of its three bases expects."""


class AsyncResult(Generic[T]):
    """A result that may not be there yet, as `multiprocessing.pool.AsyncResult`."""

    def __init__(self, future: asyncio.Future[T], owner: object) -> None:
        self._owner = owner  # the work ends with its pool
        self._done: concurrent.futures.Future[T] = concurrent.futures.Future()
        future.add_done_callback(self._settle)

    @classmethod
    def around(cls, thing: asyncio.Future[T], kept: object) -> Self:
        """What stands for a future of the loop; made there."""
        return cls(thing, kept)

    def get(self, timeout: float | None = None) -> T:
        """Wait for the result, and raise what it raised; `TimeoutError` after so many seconds."""
        self.wait(timeout)
        if not self.ready():
            raise ResultTimeout(f"no result within {timeout} seconds")
        return self._done.result()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the result is there, or for so many seconds."""
        concurrent.futures.wait((self._done,), timeout)

    def ready(self) -> bool:
        """Whether the result is there."""
        return self._done.done()

    def successful(self) -> bool:
        """Whether it is there without an error; `ValueError` if it is not there yet."""
        if not self.ready():
            raise ValueError("the result is not ready yet")
        return self._done.exception() is None

    def _settle(self, future: asyncio.Future[T]) -> None:
        if future.cancelled():
            self._done.set_exception(ClosedError("the pool was terminated"))
        elif (error := future.exception()) is not None:
            self._done.set_exception(error)
        else:
            self._done.set_result(future.result())
