"""Which worker of a cluster a call is for: the one that has read the same files before.

Pictures that a worker has read are in the page cache of its machine. So a call that says what it
reads from prefers the worker that has read from there last. Where none has, a worker follows from
the text itself, so that another pool, or another program, begins with the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from heapq import heappop
from typing import Any

from ..scheduler import Scheduler, Turn
from .members import ClusterWorker

# So many calls more than it has threads a worker has: one is on its way while others run.
_AHEAD = 1
# Among so many of the first calls in the line, for each worker, one is looked for that prefers it.
_LOOKED_AT = 32
# The first call in the line sees so many others overtake it for each worker, and then goes first.
_OVERTAKEN = 4
# Of so many places it is known who has read from them last; they need about 10 MiB.
_MOST_PLACES = 1 << 16
_PATHS = ("utf-8", "surrogatepass")  # names of files need not be valid text


def read_place(args: tuple[Any, ...]) -> str | None:
    """Where the first batch of a call is read from, if it says that by `__read_place__`.

    The first argument of such a call is a sequence of pairs, the second of each being a batch.
    """
    try:
        batch = args[0][0][1]
        look = type(batch).__read_place__
    except (AttributeError, IndexError, KeyError, TypeError):
        return None
    place: str | None = look(batch)
    return place


class WorkerHomes:
    """Who has read from a place last, and whom a call that reads from there prefers."""

    def __init__(self) -> None:
        self._readers: dict[int, str] = {}

    @property
    def known(self) -> bool:
        """Whether calls have said where they read from."""
        return bool(self._readers)

    def find(self, place: str, workers: Mapping[str, ClusterWorker]) -> ClusterWorker | None:
        """The worker that is preferred, of those that there are, by their addresses."""
        reader = workers.get(self._readers.get(hash(place), ""))
        if reader is not None and not reader.draining:
            return reader
        usable = [address for address, worker in workers.items() if not worker.draining]
        return workers[_first_of(place, usable)] if usable else None

    def note(self, place: str, worker: ClusterWorker) -> None:
        """A worker has read from there."""
        key = hash(place)
        self._readers.pop(key, None)  # or it would be forgotten as if it had been read first
        self._readers[key] = worker.address
        if len(self._readers) > _MOST_PLACES:
            del self._readers[next(iter(self._readers))]


def _first_of(place: str, addresses: Iterable[str]) -> str:
    """One that stays the same while others come and go: the one with the highest hash."""
    return max(
        addresses, key=lambda address: blake2b(f"{address}\0{place}".encode(*_PATHS)).digest()
    )


class HomeScheduler(Scheduler[ClusterWorker]):
    """A line of calls some of which prefer a worker: `Turn.home`.

    A worker has one call more than threads. One that has room gets the first call in the line, or
    one a little behind it that prefers this worker while the first one does not; so a call is
    overtaken a few times at most, and no worker is idle while a call waits. A call that has the
    choice goes to the worker it prefers, unless that has no idle thread and another one does.
    """

    def __init__(self) -> None:
        super().__init__(lambda worker: worker.threads + _AHEAD)

    def _pick(self, turn: Turn) -> ClusterWorker | None:
        load, leaving = self._load, self._leaving
        free = [w for w in load if load[w] <= w.threads and w not in leaving]
        if not free:
            return None
        best = min(free, key=lambda worker: load[worker] / worker.threads)
        home = turn.home
        if home is None or home is best or home not in free:
            return best
        if load[home] < home.threads or load[best] >= best.threads:
            return home  # type: ignore[no-any-return]
        return best

    def _serve(self) -> None:
        while (first := self._first(self._waiting)) is not None:
            worker = self._pick(first)
            if worker is None:
                return
            turn = first
            if first.home is not None and first.home is not worker:
                turn = self._that_prefers(worker, first)
            if turn is first:
                heappop(self._waiting)
            else:
                first.overtaken += 1  # the other one is dropped when it has come to the front
            self._give(turn, worker)
            if turn.future is not None:
                turn.future.set_result(worker)

    def _that_prefers(self, worker: ClusterWorker, first: Turn) -> Turn:
        """A call that waits and prefers this worker, as near the front as possible, or `first`.

        None that has another caller's turn in the line is overtaken by one that is spare.
        """
        if first.overtaken >= _OVERTAKEN * len(self._load):
            return first
        line, most = self._waiting, _LOOKED_AT * len(self._load)
        others = [
            entry
            for entry in line[:most]  # of a heap: the first ones, or nearly so
            if entry[0] == first.spare and entry[2].home is worker and self._waits(line, *entry)
        ]
        return min(others)[2] if others else first
