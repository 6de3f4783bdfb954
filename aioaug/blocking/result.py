"""What `map_batches_async` returns to a blocking program."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, Self, TypeVar

from .._base.interrupts import Answer
from .._base.results import Failure, Success
from ..errors import ClosedError, ResultTimeout

T = TypeVar("T")


class AsyncResult(Generic[T]):
    """A result that may not be there yet, as `multiprocessing.pool.AsyncResult`."""

    def __init__(self, future: asyncio.Future[T], owner: object) -> None:
        self._owner = owner  # a pool that is dropped ends, and the work with it
        self._answer: Answer[T] = Answer()
        future.add_done_callback(self._settle)

    @classmethod
    def around(cls, thing: asyncio.Future[T], kept: tuple[Any, ...]) -> Self:
        """The result of a future of the shared loop; made on that loop."""
        return cls(thing, kept)

    def get(self, timeout: float | None = None) -> T:
        """Wait for the result, and raise what it raised; `TimeoutError` after so many seconds."""
        self.wait(timeout)
        if not self.ready():
            raise ResultTimeout(f"no result within {timeout} seconds")
        return self._answer.get()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the result is there, or for so many seconds."""
        self._answer.wait(timeout)

    def ready(self) -> bool:
        """Whether the result is there."""
        return self._answer.outcome is not None

    def successful(self) -> bool:
        """Whether it is there without an error; `ValueError` if it is not there yet."""
        if not self.ready():
            raise ValueError("the result is not ready yet")
        return isinstance(self._answer.outcome, Success)

    def _settle(self, future: asyncio.Future[T]) -> None:
        if future.cancelled():
            self._answer.give(Failure(ClosedError("the pool was terminated")))
        elif (error := future.exception()) is not None:
            self._answer.give(Failure(error))
        else:
            self._answer.give(Success(future.result()))
