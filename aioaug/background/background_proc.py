"""One function with the same arguments, called over and over in processes behind the program."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from .._aio.loops import LoopResource
from .._aio.tasks import drop_tasks, ended, finish, in_thread
from .._base.arguments import check_not_async, whole
from .._base.seeding import IndexAllocator, batch_seeds, check_seed, seeded_generators
from .._imgaug import Portable
from .._transport.shared_pickle import SharedPickle
from .._worker import main as worker_main
from ..engines import Engine, ProcessEngine, engine_class, is_ours
from ..errors import ClosedError, ResultTimeout
from .array_spec import ArraySpec
from .shared_array import SharedMem
from .timings import TimingLog, since

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = tuple[NDArray[Any], ...]


class RunningProcess(NamedTuple):
    """A process of `BackgroundProc`, to be looked at: it is ended by `shutdown` alone."""

    pid: int
    engine: ProcessEngine

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.pid in self.engine.pids


class BackgroundProc(SharedMem, LoopResource):
    """Has a function called over and over in worker processes, one result ahead in each.

    Building it starts nothing; entering it, `start` or the first `get` starts the processes, and
    each begins at once with its first result. `get` takes whichever is ready, in no order, and
    its process begins with the next one.

    The target and its arguments must pickle; they go to each process once. Large arrays in them,
    as those of the object of a bound method, are not copied for each process but shared, and are
    read-only there. For each result `random`, `numpy.random`, OpenCV's and imgaug's global
    generators are seeded anew, so that no two results share their random numbers.

    It lives on the event loop that first uses it. When that is closed and it is used on another
    one, it begins anew there: what was ready or under way is dropped, as by `reset`.

    Args:
        target: stands first, or behind `dtypes` and `shapes`, as in ELEKTRONN2's own example;
            returns an array, or a tuple or list of arrays; `None` among them is left out.
        dtypes, shapes: those of the arrays, one item for each. Results are cast and broadcast to
            them, and one that does not fit is a `ValueError` of `get`. If either is missing, the
            target is called once in a thread of this process, to see it.
        n_proc: the number of processes.
        target_args, target_kwargs: the arguments of every call.
        profile: write timings to standard output: the start, and for every result how long the
            call took in its process and how long it was waited for here.
        seed: 0 to 2**31 - 1; `None` draws one, readable as `effective_seed`. With a seed the n-th
            result begun, counted from 0, has the random numbers of batch n of an `AsyncPool`.
        start_method: `"forkserver"` or `"spawn"`; `None` takes the first that there is.
        engine: where it is called, as in `AsyncPool`; `None` is "process". With others, each worker
            has a copy of the arguments, `procs` is empty, and `n_proc` is how many results are kept
            ahead, also on a cluster, which has the workers that it has.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong type.
        RuntimeError: it is built inside a worker.

    Example::

        async with BackgroundProc(data.getbatch, n_proc=2, target_args=(16,)) as background:
            images, labels = await background.get(timeout=10)
    """

    def __init__(
        self,
        target: Any,
        dtypes: Any = None,
        shapes: Any = None,
        n_proc: int = 1,
        target_args: Sequence[Any] = (),
        target_kwargs: Mapping[str, Any] | None = None,
        profile: bool = False,
        *,
        seed: int | None = None,
        start_method: str | None = None,
        engine: str | Callable[..., Engine] | None = None,
    ) -> None:
        worker_main.refuse_nested_pool()
        if callable(shapes) and not callable(target):
            target, dtypes, shapes = shapes, target, dtypes
        if not callable(target):
            raise TypeError(f"target must be callable, got {target!r}")
        check_not_async("target", target)
        self.n_proc = whole("n_proc", n_proc, low=1)
        self.profile = profile
        self.effective_seed = check_seed(seed)
        self._spec = ArraySpec.checked(dtypes, shapes)
        self._call = target, tuple(target_args), dict(target_kwargs or {})
        if start_method is not None and not is_ours(engine):
            raise ValueError(
                f"start_method={start_method!r} is for processes of this program; leave it out "
                f"with engine={engine!r}"
            )
        self._make_engine = engine_class(engine or "process")
        self._start_method = start_method
        self._timings = TimingLog("BackgroundProc", wanted=profile)
        self._indices = IndexAllocator()
        self._set_up()
        super().__init__()

    def _set_up(self) -> None:
        """What belongs to one event loop."""
        self._running: set[asyncio.Task[Any]] = set()
        # Calls that have ended, in order of completion; None behind the last.
        self._ended: asyncio.Queue[asyncio.Task[Any] | None] = asyncio.Queue()
        self._shared: SharedPickle | None = None
        self._engine: Engine | None = None
        self._starting = asyncio.Lock()

    @property
    def dtypes(self) -> Sequence[Any] | None:
        """The dtypes of the arrays; `None` until they are known."""
        return self._spec.dtypes

    @property
    def shapes(self) -> Sequence[tuple[int, ...]] | None:
        """The shapes of the arrays; `None` until they are known."""
        return self._spec.shapes

    @property
    def procs(self) -> list[RunningProcess]:
        """The processes that run now; one that died is replaced for the next call."""
        engine = self._engine
        if not isinstance(engine, ProcessEngine):
            return []
        return [RunningProcess(pid, engine) for pid in engine.pids]

    async def start(self) -> None:
        """Start the processes, and in each the first call. Idempotent."""
        self._check_open()
        self._claim()
        async with self._starting:
            self._check_open()
            if self._engine is None:
                begun = perf_counter()
                try:
                    await self._start()
                except BaseException:
                    await self.shutdown()
                    raise
                self._timings.write(start=since(begun))

    async def get(self, timeout: float | None = False) -> Arrays:  # noqa: ASYNC109 - its name
        """The next result that is ready, as a tuple of writable arrays that nobody else has.

        Raises what the target raised, `WorkerDied` if its process vanished, and `TimeoutError`
        after so many seconds, `False`, `None` and 0 being never; then, as when it is cancelled,
        no result is lost. Raises `ClosedError` after `shutdown`.
        """
        await self.start()
        begun = perf_counter()
        try:
            async with asyncio.timeout(timeout or None):
                task = await self._ended.get()
        except TimeoutError:
            raise ResultTimeout(f"no result within {timeout} seconds") from None
        if task is None:
            self._ended.put_nowait(None)
            raise ClosedError("the background processes were shut down")
        waited = since(begun)
        self._begin()
        arrays: Arrays
        arrays, spent = task.result()
        self._timings.write(target=spent, waiting=waited)
        return arrays

    async def reset(self) -> None:
        """Drop what is ready and what is under way, and have every process begin anew.

        A process that is in the middle of a call finishes it first.
        """
        self._check_open()
        self._claim()
        for task in tuple(self._running):
            task.cancel()
        while not self._ended.empty():
            self._ended.get_nowait()
        if self._engine is not None:
            for _ in range(self.n_proc):
                self._begin()

    async def shutdown(self) -> None:
        """End the processes, whatever they do, and free their memory.

        Whoever waits in `get` gets `ClosedError`. Idempotent; cancelled, it finishes first.
        """
        self._claim()
        self._over = True
        await finish(self._end())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _leave(self, error: BaseException | None) -> None:
        await self.shutdown()

    def _at_work(self) -> bool:
        return self._engine is not None

    def _claim(self) -> None:
        """Belong to the running loop; if the loop before is closed, begin anew on this one."""
        if self._home.claim():
            self._home.clean_up(*self._abandon())

    def _abandon(self) -> Iterable[Callable[[], object]]:
        ends: list[Callable[[], object]] = [partial(drop_tasks, self._running)]
        if self._engine is not None:
            ends.append(self._engine.abandon)
        if self._shared is not None:
            ends.append(self._shared.release)
        self._set_up()
        return ends

    async def _start(self) -> None:
        await self._home.cleaned_up()
        if not self._spec.complete:
            target, args, kwargs = self._call
            result = await in_thread(lambda: target(*args, **kwargs))
            self._spec = self._spec.completed(result)
        call = RepeatedCall(*self._call, self._spec, self.effective_seed)
        if self._make_engine is ProcessEngine:
            self._shared = await in_thread(SharedPickle, call)
            self._engine = ProcessEngine(
                self._shared,
                descriptors=self._shared.descriptors,
                workers=self.n_proc,
                start_method=self._start_method,
                room=self._spec.nbytes,
            )
        else:
            self._engine = self._make_engine(call, workers=self.n_proc)
        await self._engine.start()
        for _ in range(self.n_proc):
            self._begin()

    def _begin(self) -> None:
        if self._engine is None or self._over:
            return
        task = asyncio.create_task(self._engine.submit(run_call, self._indices.allocate()))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # if nobody looked at it, asyncio would report it
            self._ended.put_nowait(task)

    async def _end(self) -> None:
        try:
            if self._engine is not None:
                await self._engine.aclose(kill=True)
            await ended(self._running)
            await self._home.cleaned_up()
        finally:
            while not self._ended.empty():
                self._ended.get_nowait()
            self._ended.put_nowait(None)
            if self._shared is not None:
                self._shared.release()
            await self._timings.aclose()
            self._home.release()

    def _check_open(self) -> None:
        if self._over:
            raise ClosedError("the background processes were shut down")


class RepeatedCall(Portable):
    """What a worker holds: the call, and what its result must look like."""

    owns_interpreter = True  # an engine says so where it is not

    def __init__(
        self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], spec: ArraySpec, seed: int
    ) -> None:
        self.call = target, args, kwargs
        self.spec = spec
        self.seed = seed

    def clone(self) -> RepeatedCall:
        """A copy for one more worker in this interpreter."""
        return copy.deepcopy(self)

    def run(self, index: int) -> tuple[Arrays, float]:
        """The arrays of result number `index`, and the seconds that it took."""
        begun = perf_counter()
        seeds = batch_seeds(self.seed, index)
        target, args, kwargs = self.call
        with (
            self.private_rng(seeds.library),
            seeded_generators(seeds, owned=self.owns_interpreter),
        ):
            arrays = self.spec.apply(target(*args, **kwargs))
        return arrays, since(begun)


def run_call(call: RepeatedCall, index: int) -> tuple[Arrays, float]:
    """What a worker is asked to do."""
    return call.run(index)
