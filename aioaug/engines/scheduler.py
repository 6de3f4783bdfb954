"""The line in which calls wait for workers: first come, first served."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

from ..errors import ClosedError
from .assignment import Assignment

W = TypeVar("W")
T = TypeVar("T")


class Caller:
    """Somebody whose calls stand in the line one at a time, such as a stream.

    While one of them waits or is at work, the others are spare: they go to workers that nobody in
    the line wants. So a stream, which sends calls before it needs their results, holds up others
    no more than a task that waits for each of its calls.
    """

    def __init__(self) -> None:
        self.present = 0  # its calls in the line and at work
        self.spare: deque[Turn] = deque()


class Turn:
    """The place of one call in the line, from its submission to its result."""

    __slots__ = (
        "ahead",
        "caller",
        "future",
        "has_room",
        "home",
        "number",
        "overtaken",
        "present",
        "queue",
        "shared",
        "spare",
    )

    def __init__(self, number: int, caller: Caller | None, shared: bool) -> None:
        self.number = number
        self.caller = caller
        self.shared = shared  # by several requests
        self.ahead = 1  # of how many calls of a worker it may be the last
        self.present = self.spare = False
        self.has_room = False
        self.future: asyncio.Future[Any] | None = None  # while it waits
        self.queue: _Queue = []  # where it waits
        # The worker that it prefers, where the line has such; how many others went before it so.
        self.home: Any = None
        self.overtaken = 0


_Queue = list[tuple[bool, int, Turn]]


class Scheduler(Generic[W]):
    """Hands workers to calls. Used from the event loop only.

    There is one line. The first call in it that is ready gets a worker that is idle, or else one
    with fewer calls than both the call's `ahead` and `calls_at_once(worker)` say, for a call that
    requests share `shared_at_once(worker)` if that is more. Calls behind it
    wait until it has one, also those that would make do with less. No call is given to a worker
    that does what nobody waits for any more: that may take as long as it likes.

    `room` is the number of calls that may be in memory which is scarce. Those take a part of it
    in the order of the line. Spare calls leave a part for each worker to calls in the line.
    """

    def __init__(
        self,
        calls_at_once: Callable[[W], int] = lambda worker: 1,
        *,
        shared_at_once: Callable[[W], int] = lambda worker: 1,
        room: int = 0,
    ) -> None:
        self._calls_at_once = calls_at_once
        self._shared_at_once = shared_at_once
        self.waited: Callable[[], object] = lambda: None  # called when a call has to wait
        self._room = room
        self._load: dict[W, int] = {}
        self._leaving: set[W] = set()
        self._numbers = itertools.count()
        self._waiting_for_room: _Queue = []
        self._waiting: _Queue = []
        self._work: set[Assignment[Any]] = set()
        self._abandoned: dict[Assignment[Any], W] = {}  # nobody waits for it
        self._calls = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._ended = False

    @property
    def busy(self) -> set[W]:
        """The workers that have something to do."""
        return {worker for worker, load in self._load.items() if load}

    @property
    def idle(self) -> int:
        """How many workers have nothing to do, and nobody who waits for them."""
        if self._first(self._waiting) is not None:
            return 0
        return list(self._load.values()).count(0)

    @property
    def wanted(self) -> bool:
        """Whether a call waits for a worker."""
        return self._first(self._waiting) is not None

    def open(self, workers: Iterable[W]) -> None:
        """Take these workers in, all of them idle, or back after they were withdrawn."""
        for worker in workers:
            self._leaving.discard(worker)
            self._load.setdefault(worker, 0)
        self._serve()

    def withdraw(self, worker: W) -> None:
        """Give this worker no more calls; those that it has are released one by one, as always."""
        if not self._load.get(worker):
            self._load.pop(worker, None)
        else:
            self._leaving.add(worker)

    def join(self, caller: Caller | None = None, *, shared: bool = False) -> Turn:
        """Stand in the line; `leave` has to follow. Raises `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError("the engine is closed")
        self._calls += 1
        turn = Turn(next(self._numbers), caller, shared)
        self._stand(turn)
        return turn

    def leave(self, turn: Turn) -> None:
        """The call is over."""
        self._step_out(turn)
        if turn.has_room:
            self._room += 1
            self._grant_room()
        self._calls -= 1
        if not self._calls:
            self._changed.set()

    def check(self) -> None:
        """Raise `ClosedError` if no call can be served any more."""
        if self._ended:
            raise ClosedError("the engine was closed")

    async def find_room(self, turn: Turn) -> None:
        """Wait until the call may be in scarce memory, where it then is until it leaves."""
        self.check()
        if turn.has_room:
            return
        if self._first(self._waiting_for_room) is None and self._may_have_room(turn):
            self._take_room(turn)
        else:
            await self._wait(turn, self._waiting_for_room)

    async def acquire(self, turn: Turn, ahead: int = 1) -> W:
        """Wait for a worker; `begin` or `release` has to follow."""
        self.check()
        turn.ahead = ahead
        if not turn.present and not turn.spare:  # it had a worker before
            self._stand(turn)
        if self._first(self._waiting) is None and (worker := self._pick(turn)) is not None:
            self._give(turn, worker)
            return worker
        given: W = await self._wait(turn, self._waiting)
        return given

    def release(self, turn: Turn, worker: W) -> None:
        """Hand a worker on that a call had."""
        self._load[worker] -= 1
        if worker in self._leaving and not self._load[worker]:
            self._leaving.remove(worker)
            del self._load[worker]
        self._step_out(turn)
        self._serve()

    def begin(
        self, turn: Turn, worker: W, unwanted: Callable[[T | None], object] = lambda _: None
    ) -> Assignment[T]:
        """The work that a call's worker is given; when it is done, the worker is handed on."""

        def ended(work: Assignment[T]) -> None:
            self._work.discard(work)
            self._abandoned.pop(work, None)
            self.release(turn, worker)
            if not self._work:
                self._changed.set()

        work = Assignment(ended, unwanted)
        self._work.add(work)
        return work

    def abandon(self, work: Assignment[Any], worker: W) -> None:
        """Nobody waits any more for what this worker was given."""
        if work in self._work:
            self._abandoned[work] = worker

    async def close(self, *, wait: bool) -> None:
        """Refuse new calls; wait for those that are awaited, or fail them with `ClosedError`."""
        self._closed = True
        while wait and self._calls:
            self._changed.clear()
            await self._changed.wait()
        self._ended = True
        for *_, turn in (*self._waiting, *self._waiting_for_room):
            if turn.future is not None and not turn.future.done():
                turn.future.set_exception(ClosedError("the engine was closed"))
        for work in tuple(self._work):
            work.give_up(ClosedError("the engine was closed"))

    async def drain(self) -> None:
        """Wait until no worker has work, after something has made sure that this comes soon."""
        while self._work:
            self._changed.clear()
            await self._changed.wait()

    async def _wait(self, turn: Turn, queue: _Queue) -> Any:
        turn.future, turn.queue = asyncio.get_running_loop().create_future(), queue
        self._enqueue(turn)
        self._grant_room()
        self._serve()
        try:
            if not turn.future.done() and queue is self._waiting:
                self.waited()
            return await turn.future
        except asyncio.CancelledError:
            came = turn.future.done() and not turn.future.cancelled()
            if came and turn.future.exception() is None and queue is self._waiting:
                self.release(turn, turn.future.result())  # in the moment of the cancellation
            raise
        finally:
            turn.future = None

    def _enqueue(self, turn: Turn) -> None:
        heappush(turn.queue, (turn.spare, turn.number, turn))

    def _first(self, queue: _Queue) -> Turn | None:
        """The first that waits in it. Those that wait no more, or in another place, are dropped."""
        while queue:
            if self._waits(queue, *queue[0]):
                return queue[0][2]
            heappop(queue)
        return None

    @staticmethod
    def _waits(queue: _Queue, spare: bool, number: int, turn: Turn) -> bool:
        """Whether an entry of a queue stands for a call that still waits at this place of it."""
        waits = turn.future is not None and not turn.future.done() and turn.queue is queue
        return waits and number == turn.number

    def _stand(self, turn: Turn) -> None:
        caller = turn.caller
        if caller is not None and caller.present:
            turn.spare = True
            caller.spare.append(turn)
            return
        turn.present = True
        if caller is not None:
            caller.present = 1

    def _step_out(self, turn: Turn) -> None:
        """A call waits no more, and is not at work; the next one of its caller takes its place."""
        caller = turn.caller
        if turn.spare and caller is not None:
            turn.spare = False
            caller.spare.remove(turn)
        elif turn.present:
            turn.present = False
            if caller is not None:
                caller.present -= 1
                if not caller.present and caller.spare:
                    self._promote(caller.spare.popleft(), caller)

    def _promote(self, turn: Turn, caller: Caller) -> None:
        """A spare call goes to the end of the line."""
        turn.spare, turn.present, caller.present = False, True, 1
        turn.number = next(self._numbers)
        if turn.future is not None and not turn.future.done():
            self._enqueue(turn)
            self._grant_room()

    def _pick(self, turn: Turn) -> W | None:
        free: Collection[W] = self._load
        if self._abandoned or self._leaving:
            free = self._load.keys() - self._leaving - set(self._abandoned.values())
        worker = min(free, key=self._load.__getitem__, default=None)
        if worker is None:
            return None
        load = self._load[worker]
        if not load:
            return worker
        at_once = self._calls_at_once(worker)
        if turn.shared:
            at_once = max(at_once, self._shared_at_once(worker))
        return worker if load < min(turn.ahead, at_once) else None

    def _give(self, turn: Turn, worker: W) -> None:
        self._load[worker] += 1
        if turn.spare and turn.caller is not None:
            turn.spare, turn.present = False, True
            turn.caller.spare.remove(turn)
            turn.caller.present += 1

    def _serve(self) -> None:
        while (turn := self._first(self._waiting)) is not None and turn.future is not None:
            worker = self._pick(turn)
            if worker is None:
                return
            heappop(self._waiting)
            self._give(turn, worker)
            turn.future.set_result(worker)

    def _may_have_room(self, turn: Turn) -> bool:
        return self._room > (len(self._load) if turn.spare else 0)

    def _take_room(self, turn: Turn) -> None:
        turn.has_room = True
        self._room -= 1

    def _grant_room(self) -> None:
        while (turn := self._first(self._waiting_for_room)) is not None and turn.future is not None:
            if not self._may_have_room(turn):
                return
            heappop(self._waiting_for_room)
            self._take_room(turn)
            turn.future.set_result(None)
