"""Which event loop something lives on, and what becomes of it when that loop is gone."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress

from ..errors import LimitError
from .tasks import AsyncResource, begin_in_thread, end_aside, running_loop, warn_of_drop


class LoopOwner:
    """Remembers the event loop that something was first used on, until that loop is closed.

    The process belongs to it, too: what a server builds before it forks its workers is used in
    each of them, and belongs to none before. `name` is what error messages call it. The methods may
    be called from any thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pid: int | None = None  # of the process that first used it
        self.loop: asyncio.AbstractEventLoop | None = None  # on which it is in use
        self._lock = threading.Lock()
        self._cleaning: Future[None] | None = None

    @property
    def live(self) -> bool:
        """Whether it is in use on a loop that is not closed."""
        return self.loop is not None and not self.loop.is_closed()

    @property
    def ours(self) -> bool:
        """Whether no other process uses it, from which this one was forked."""
        return self._pid in (None, os.getpid())

    def check_process(self) -> None:
        """Raise `RuntimeError` in a process that was forked from the one that uses the thing."""
        check_process(self._name, self._pid)

    def claim(self) -> bool:
        """Have the thing be used on the running loop.

        Returns whether it was used on another one that has been closed since: then no task of it
        will ever go on, and everything that belongs to a loop has to be made anew. Raises
        `RuntimeError` if it is in use on another loop that is not closed, or in another process, or
        if no loop runs.
        """
        loop = running_loop(f"this {self._name}")
        if loop is self.loop and self._pid == os.getpid():
            return False
        self.check_process()
        with self._lock:
            last = self.loop
            if last is not None and not last.is_closed():
                raise RuntimeError(
                    f"this {self._name} is in use on another event loop: build one for each loop, "
                    "or close it on its own loop first, or use its twin in aioaug.blocking, which "
                    "works from everywhere"
                )
            self.loop, self._pid = loop, os.getpid()
        return last is not None

    def release(self) -> None:
        """Belong to no loop any more: nothing is left that needs one."""
        self.loop = None

    def clean_up(self, *ends: Callable[[], object]) -> None:
        """Begin to call `ends`, in a thread if there is one: they end what a closed loop left."""
        earlier = self._cleaning

        def work() -> None:
            if earlier is not None:
                earlier.result()
            for end in ends:
                end()

        try:
            self._cleaning = begin_in_thread(work)
        except LimitError:
            work()  # the running loop stands still for it, but no process is left behind

    def end_dropped(
        self, stop: Callable[[], object], abandon: Callable[[], Iterable[Callable[[], object]]]
    ) -> None:
        """Begin to end the thing, from its `__del__`: have its loop call `stop` in a moment.

        If that is closed, what `abandon` returns is called in a thread. At the end of the program
        no thread can be had, and workers are killed anyway.
        """
        if self.loop is not None and self.ours:
            with suppress(RuntimeError):
                if self.loop.is_closed():
                    self.clean_up(*abandon())
                else:
                    self.loop.call_soon_threadsafe(stop)

    async def cleaned_up(self) -> None:
        """Wait until all ends have been called; the first to wait gets what one of them raised."""
        cleaning = self._cleaning
        if cleaning is not None:
            await asyncio.wait((asyncio.wrap_future(cleaning),))
            if self._cleaning is cleaning:
                self._cleaning = None
                cleaning.result()


class LoopResource(AsyncResource):
    """What works in the background on the event loop that first uses it, until it is ended."""

    def __init__(self) -> None:
        self._home = LoopOwner(type(self).__name__)
        self._over = False

    @property
    def closed(self) -> bool:
        """Whether it was ended, or has come to its end by itself."""
        return self._over

    async def aclose(self) -> None:
        """End it at once, as leaving `async with` does. Idempotent."""
        await self._leave(None)

    def _at_work(self) -> bool:
        """Whether something would be left behind if it were dropped now."""
        return False

    def _abandon(self) -> Iterable[Callable[[], object]]:
        """What ends, in a thread, all that is at work: its event loop is closed, or it is dropped.

        What belongs to a loop is made anew.
        """
        raise NotImplementedError

    def _drop(self) -> None:
        """Begin to end what is at work, from `__del__`."""
        with suppress(RuntimeError):  # at the end of the program there is no thread
            end_aside(lambda ends: [end() for end in ends], tuple(self._abandon()))

    def __del__(self) -> None:
        # `__init__` of a subclass that raised may not have come to ours.
        if not getattr(self, "_over", True) and self._home.ours and self._at_work():
            self._drop()
            warn_of_drop(self)


def check_process(name: str, pid: int | None) -> None:
    """Raise `RuntimeError` if the thing of this name is used by another process, `pid`."""
    if pid not in (None, os.getpid()):
        raise RuntimeError(
            f"this {name} belongs to process {pid}; a process that was forked from it has to build "
            "one of its own"
        )
