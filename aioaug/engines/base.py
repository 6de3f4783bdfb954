"""The interface of engines: an engine runs functions on its workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol, Self

from .._aio.tasks import AsyncResource
from ..stats import Meter
from .limits import CHUNKS_PER_WORKER
from .scheduler import Caller
from .small_calls import SmallCallPolicy


class State(Protocol):
    """What each worker of an engine holds: it must pickle, or make copies of itself.

    If it has a method `begin`, that is called once in each worker process, before the first call.
    A copy has begun. If it has a method `end`, that is called when a worker is not needed any more.
    """

    # Whether nobody else uses the interpreter that it is in; the engine that it is for says so.
    owns_interpreter: bool

    def clone(self) -> Self:
        """A copy for one more worker in this interpreter."""
        ...


class Engine(AsyncResource, ABC):
    """Some workers, each with its own copy of one `state`.

    Building an engine starts nothing. `max_tasks` is the number of calls after which a worker
    is replaced, for engines whose workers can be; `None` is never.

    A class says what its workers are like: `owns_interpreter`, whether each of them is alone in an
    interpreter, else states leave what others use there as it was; and `options`, the names of
    further arguments that it takes.
    """

    owns_interpreter: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, state: State, *, workers: int, max_tasks: int | None = None) -> None:
        self.workers = workers
        self.max_tasks = max_tasks
        self.meter = Meter()
        self.small_calls = SmallCallPolicy(workers)
        self._state = state
        self._started = False
        self._closed = False
        state.owns_interpreter = self.owns_interpreter

    @property
    def idle(self) -> int:
        """How many workers have nothing to do, and no call that waits for them."""
        return 1

    @property
    def busy(self) -> int:
        """How many workers have something to do."""
        return 0

    @property
    def calls_wanted(self) -> int:
        """How many calls of one stream should be here at once, with those that wait."""
        return CHUNKS_PER_WORKER * self.workers

    @property
    def started(self) -> bool:
        """Whether there are workers, or have been some."""
        return self._started

    @property
    def segments(self) -> tuple[int, int]:
        """How many pieces of shared memory are in use, and how many there may be."""
        return 0, 0

    @abstractmethod
    async def start(self) -> None:
        """Start all workers at once and wait until they are ready. Idempotent."""

    @abstractmethod
    async def submit(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        ahead: int = 1,
        limit: float | None = None,
        caller: Caller | None = None,
        begun: Callable[[], object] | None = None,
        late: bool = False,
    ) -> Any:
        """Run `fn(state, *args)` on one worker and return what it returns.

        Calls are begun in the order of submission; those of one `caller` go one at a time where
        others wait. Cancelled while it waits, a call never runs; cancelled while it runs, its
        result is dropped and its worker serves others as soon as it is done. A call may be given
        to a worker that is still busy, as the last of `ahead` calls, as far as `small_calls` says;
        it then waits for that worker alone, and runs even if it is cancelled meanwhile.

        `begun` is called when a worker is there. With `late`, the arguments are looked at only
        after that: so they must be small, and may change while the call waits. With `limit`, a
        worker that takes more than so many seconds is killed, also if nobody awaits the call any
        more; only engines whose workers are processes can do that, and `ahead` then does nothing,
        since the time begins when the call is sent.

        Raises what `fn` raises, `WorkerDied` if the worker vanished and `BatchTimeout` if it was
        killed (another one takes its place), `TransportError` if arguments or result cannot be
        carried, and `ClosedError` after `aclose`.
        """

    @abstractmethod
    async def aclose(self, *, kill: bool = False) -> None:
        """Wait for the calls that somebody still awaits, then end all workers.

        With `kill` nothing is waited for: such calls raise `ClosedError`. Idempotent, and when
        cancelled it still ends the workers first.
        """

    def abandon(self) -> None:
        """End all workers at once when nobody can be waiting for a call any more.

        That is so when the event loop that they served is closed, or when the engine was dropped.
        It blocks, is to be called in a thread that runs no loop, and is idempotent. By default
        there is nothing to end.
        """

    @staticmethod
    def _end_states(states: Iterable[State]) -> None:
        """Tell copies of the state that they are not needed any more. It blocks."""
        for state in states:
            if hasattr(state, "end"):
                state.end()

    def __repr__(self) -> str:
        phase = "closed" if self._closed else "open" if self._started else "new"
        return f"<{type(self).__name__} workers={self.workers}{self._details()} {phase}>"

    def _details(self) -> str:
        """What else its `repr` should say, behind a space."""
        return ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await self.aclose(kill=error is not None)
