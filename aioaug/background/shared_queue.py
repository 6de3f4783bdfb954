"""Pieces of work one after the other in processes behind the program, results in that order."""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from .._aio.loops import LoopResource
from .._aio.tasks import drop_tasks, ended, finish
from .._base.arguments import check_not_async, whole
from .._base.system import available
from .._transport.shared_pickle import SharedPickle
from .._worker import main as worker_main
from ..engines import ProcessEngine, is_ours
from ..errors import ClosedError
from .array_spec import ArraySpec
from .shared_array import SharedMem
from .timings import TimingLog, since

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]


class SharedQ(SharedMem, LoopResource):
    """A queue of work on arrays: first in, first out, whichever is done first.

    Building it starts nothing; the first `startproc` starts its worker processes, which serve
    one piece of work after the other. Results come in shared memory.

    It lives on the event loop that first uses it. When that is closed and it is used on another
    one, it goes on there with new processes; work that was not done by then raises `ClosedError`.

    Args:
        n_proc: how many pieces of work should always be under way; `get` warns if there were
            fewer left. It is also the number of worker processes, by default (0) one for each CPU.
        profile: write timings to standard output.
        engine: `None` or "process". Results lie in memory of this machine, so there is no other.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.
        RuntimeError: it is built inside a worker.

    Example::

        def read(mp_arrays, shapes, path):
            SharedQ.shm2ndarray(mp_arrays[0], shapes[0])[...] = np.load(path)

        async with SharedQ() as queue:
            queue.startproc([np.float32], [(64, 64)], read, ("first.npy",))
            (image,) = await queue.get()
    """

    def __init__(self, n_proc: int = 0, profile: bool = False, *, engine: Any = None) -> None:
        worker_main.refuse_nested_pool()
        if not is_ours(engine):
            raise ValueError(
                f"engine={engine!r}: a SharedQ has its results in memory that processes of this "
                "machine share; leave engine out, or use BackgroundProc, or AsyncPool"
            )
        self.n_proc = whole("n_proc", n_proc, low=0)
        self.profile = profile
        self._timings = TimingLog("SharedQ", wanted=profile)
        self._jobs: deque[asyncio.Future[tuple[Arrays, float]]] = deque()
        self._set_up()
        super().__init__()

    def _set_up(self) -> None:
        """What belongs to one event loop."""
        self._turn = asyncio.Lock()
        self._engine = ProcessEngine(SharedPickle(None), workers=self.n_proc or available())

    def startproc(
        self,
        dtypes: Sequence[Any],
        shapes: Sequence[Any],
        target: Any,
        target_args: Sequence[Any] = (),
        target_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a piece of work: `target(mp_arrays, shapes, *target_args, **target_kwargs)`.

        `mp_arrays` holds an array of zeros for each dtype and shape, which the target has to
        fill; if `target_kwargs` has `data`, they are filled with it already. The target and its
        arguments must pickle, and are not to be changed until the result is there. Returns at
        once; to be called on the event loop. Raises `ClosedError` after `shutdown`.
        """
        self._check_open()
        spec = ArraySpec.checked(dtypes, shapes)
        if not spec.complete:
            raise TypeError("dtypes and shapes must be given")
        if not callable(target):
            raise TypeError(f"target must be callable, got {target!r}")
        check_not_async("target", target)
        self._claim()
        call = spec, target, tuple(target_args), dict(target_kwargs or {})
        job = asyncio.get_running_loop().create_task(self._run(*call))
        job.add_done_callback(_look_at)
        self._jobs.append(job)

    async def get(self) -> Arrays:
        """Wait for the oldest piece of work; its arrays as a list, in shared memory.

        Raises what the target raised, `WorkerDied` if its process vanished, `IndexError` if there
        is no work left, and `ClosedError` after `shutdown`. Cancelled, it loses nothing.
        """
        self._check_open()
        self._claim()
        begun = perf_counter()
        async with self._turn:
            if not self._jobs:
                self._check_open()
                raise IndexError("no work was started for this get()")
            job = self._jobs[0]
            await ended((job,))
            self._check_open()
            self._warn_of_too_few()
            self._jobs.popleft()
        arrays, spent = job.result()
        self._timings.write(target=spent, waiting=since(begun))
        return arrays

    async def shutdown(self) -> None:
        """End the processes, whatever they do; what was not got is dropped.

        Whoever waits in `get` gets `ClosedError`. Idempotent; cancelled, it finishes first.
        """
        self._claim()
        self._over = True
        for job in self._jobs:
            job.cancel()
        await finish(self._end())

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await self.shutdown()

    def _at_work(self) -> bool:
        return self._engine.started

    async def _end(self) -> None:
        await self._engine.aclose(kill=True)
        await ended(self._jobs)
        self._jobs.clear()
        await self._timings.aclose()
        await self._home.cleaned_up()
        self._home.release()

    def _claim(self) -> None:
        """Belong to the running loop; if the loop before is closed, go on with new processes."""
        if self._home.claim():
            lost = [job for job in self._jobs if job.cancelled() or not job.done()]
            self._home.clean_up(*self._abandon())
            self._jobs = deque(_lost() if job in lost else job for job in self._jobs)

    def _abandon(self) -> Iterable[Callable[[], object]]:
        ends = partial(drop_tasks, tuple(self._jobs)), self._engine.abandon
        self._set_up()
        return ends

    async def _run(
        self, spec: ArraySpec, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Arrays, float]:
        begun = perf_counter()
        await self._home.cleaned_up()
        await self._engine.start()
        self._timings.write(start=since(begun))
        result: tuple[Arrays, float] = await self._engine.submit(fill, spec, target, args, kwargs)
        return result

    def _warn_of_too_few(self) -> None:
        # This comes before the result is taken, as a program may turn warnings into errors: then
        # the next `get` still finds it.
        missing = self.n_proc - (len(self._jobs) - 1)
        if self.n_proc and missing > 0:
            warnings.warn(
                f"get() should have started {missing} new workers before",
                RuntimeWarning,
                stacklevel=3,
            )

    def _check_open(self) -> None:
        if self._over:
            raise ClosedError("the queue was shut down")


def fill(
    state: None, spec: ArraySpec, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Arrays, float]:
    """What a worker is asked to do: make the arrays, have them filled, time it."""
    import numpy as np

    begun = perf_counter()
    dtypes, shapes = list(spec.dtypes or ()), list(spec.shapes or ())
    arrays = [np.zeros(shape, dtype) for dtype, shape in zip(dtypes, shapes, strict=True)]
    if kwargs.get("data") is not None:
        for array in arrays:
            array[...] = kwargs["data"]
    target([array.view(_with_lock()) for array in arrays], shapes, *args, **kwargs)
    return arrays, since(begun)


@cache
def _with_lock() -> Any:
    """A kind of array for targets that take the lock of what they fill, which nobody shares."""
    import numpy as np

    return type("FilledArray", (np.ndarray,), {"get_lock": staticmethod(nullcontext)})


def _lost() -> asyncio.Future[Any]:
    """The result of a piece of work that was under way on an event loop when that was closed."""
    job: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    job.set_exception(ClosedError("the event loop of this piece of work was closed before its end"))
    _look_at(job)
    return job


def _look_at(job: asyncio.Future[Any]) -> None:
    """Look at an exception, so that asyncio does not report it if nobody asks for it."""
    if not job.cancelled():
        job.exception()
