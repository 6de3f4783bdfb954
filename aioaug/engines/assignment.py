"""What a worker was given to do, and the answer that somebody may wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def _nothing(*_: Any) -> None:
    pass


class Assignment(Generic[T]):
    """Work that goes on whether or not somebody waits for it any more.

    `ended` is called when the worker is done with it, before anybody hears of that. `unwanted` then
    gets the answer, or `None` if the work failed, if nobody waits any more.
    """

    def __init__(
        self,
        ended: Callable[[Assignment[T]], object] = _nothing,
        unwanted: Callable[[T | None], object] = _nothing,
    ) -> None:
        self.timers: list[asyncio.TimerHandle] = []  # cancelled at the end
        self._ended = ended
        self._unwanted = unwanted
        self._answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.over = False  # the worker has come to its end
        self._value: T | None = None

    @property
    def abandoned(self) -> bool:
        """Whether it goes on, and nobody waits for it."""
        return self._answer.done() and not self.over

    def succeed(self, value: T) -> None:
        """The worker has done it."""
        self._end(value)
        if self._answer.done():
            self._drop()
        else:
            self._answer.set_result(value)

    def fail(self, error: BaseException) -> None:
        """The worker will not do it."""
        self._end(None)
        if self._answer.done():
            self._drop()
        else:
            self._answer.set_exception(error)

    def give_up(self, error: BaseException) -> None:
        """Have whoever waits for it get an error now."""
        if not self._answer.done():
            self._answer.set_exception(error)

    async def wait(self) -> T:
        """The answer, or the error instead."""
        try:
            return await self._answer
        except asyncio.CancelledError:
            if self._answer.done() and not self._answer.cancelled():
                # It came in the moment of the cancellation. The exception is asked for, or asyncio
                # would report that nobody did.
                self._answer.exception()
                if self.over:
                    self._drop()
            raise

    def _end(self, value: T | None) -> None:
        self.over, self._value = True, value
        for timer in self.timers:
            timer.cancel()
        self._ended(self)

    def _drop(self) -> None:
        unwanted, self._unwanted = self._unwanted, _nothing
        unwanted(self._value)
