"""What a worker does beside augmenting: it prepares itself, loads batches and dumps results."""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, NamedTuple

from .._base.results import Outcome, attempt
from .._base.seeding import Seeds, batch_seeds, seed_generators, seeds_of
from .._base.signatures import parameters_of
from .._base.threads import start_thread
from .augmentation import Augmentation


class WorkerFunctions(NamedTuple):
    """Functions of a pool's user for its workers, async or not; `None` does nothing."""

    load: Callable[..., Any] | None = None
    dump: Callable[..., Any] | None = None
    initializer: Callable[[], Any] | None = None

    def check(self) -> None:
        """Raise `TypeError` if one of them is not callable."""
        for name, function in self._asdict().items():
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be callable, got {function!r}")


class StagedAugmentation(Augmentation):
    """An augmentation between `load` and `dump`, in a worker that `initializer` prepares.

    Neither changes the random numbers of the augmenter. Each has numbers of its own for each
    batch: by a parameter `rng`, or else, in a worker process, from `random` and `numpy.random`.
    """

    def __init__(self, functions: WorkerFunctions, augmenter: Any, seed: int, **how: bool) -> None:
        functions.check()
        super().__init__(augmenter, seed, **how)
        self._functions = functions
        self._coroutines = CoroutineRunner()
        self._take_rng = frozenset(
            name
            for name, function in functions._asdict().items()
            if function is not None and "rng" in (parameters_of(function) or ())
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_coroutines": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._coroutines = CoroutineRunner()

    def clone(self) -> Augmentation:
        worker = copy.deepcopy(self)
        try:
            worker.begin()
        except BaseException:
            worker.end()
            raise
        return worker

    def begin(self) -> None:
        """Prepare the worker: called once in each, before its first batch."""
        if self._functions.initializer is not None:
            try:
                self._complete(self._functions.initializer())
            except BaseException as error:
                error.add_note("while the pool's initializer ran in a worker")
                raise

    def end(self) -> None:
        """End what coroutines left running, and close their event loop. It blocks."""
        self._coroutines.close()

    def __call__(self, index: int, batch: Any, in_place: bool = False) -> Any:
        seeds = batch_seeds(self.seed, index)
        if self._functions.load is not None:
            if not self.owns_interpreter:
                batch = copy.deepcopy(batch)  # the caller's own, of which there may be another try
            batch = self._run_stage("load", batch, seeds)
            in_place = False  # `load` may keep what it returned, to return it again
        result = self.run(batch, seeds, in_place=in_place)
        return result if self._functions.dump is None else self._run_stage("dump", result, seeds)

    def _run_stage(self, name: str, value: Any, seeds: Seeds) -> Any:
        # Not the numbers of the augmenter, and other ones for each of the two. A 0 at the end would
        # not change them.
        entropy = (*seeds, 1 if name == "load" else 2)
        options = {}
        if name in self._take_rng:
            import numpy as np

            options["rng"] = np.random.default_rng(entropy)
        elif self.owns_interpreter:
            seed_generators(seeds_of(entropy))
        started = perf_counter()
        result = self._complete(getattr(self._functions, name)(value, **options))
        if self.timer is not None:
            self.timer.add(name, perf_counter() - started)
        return result

    def _complete(self, result: Any) -> Any:
        return self._coroutines.run(result) if inspect.isawaitable(result) else result


def augmentation_of(
    functions: WorkerFunctions, augmenter: Any, seed: int, accelerate: bool, profile: bool
) -> Augmentation:
    """The state of a pool's workers; the plain one, which is faster, where there are no functions.

    Raises `TypeError` as both of them do.
    """
    how = {"accelerate": accelerate, "profile": profile}
    if functions == WorkerFunctions():
        return Augmentation(augmenter, seed, **how)
    return StagedAugmentation(functions, augmenter, seed, **how)


class CoroutineRunner:
    """Runs the coroutines of a worker on an event loop of their own, made for the first of them.

    It is the same loop for all of them, so that what they open, such as connections, can be used
    again, until `close`. Nothing is left to the garbage collector: it may come to the sockets of a
    loop before it comes to the loop, and then warns of them.
    """

    def __init__(self) -> None:
        self._runner: Any = None
        self._lock = threading.Lock()
        self._at_work = False
        self._closed = False

    def run(self, work: Awaitable[Any]) -> Any:
        """What the coroutine returns or raises; it blocks."""
        import asyncio

        if asyncio._get_running_loop() is None:
            return self._complete(work)
        # The worker is in the thread of an event loop, which stands still for it anyway. Python
        # runs no loop inside another one, so this one runs in a thread.
        outcomes: list[Outcome[Any]] = []
        thread = start_thread(
            lambda: outcomes.append(attempt(self._complete, work)), name="aioaug-coroutines"
        )
        thread.join()
        return outcomes[0].unwrap()

    def close(self) -> None:
        """Cancel what is left on the loop and close it, or do so when the coroutine at work ends.

        It blocks, may be called in any thread, and is idempotent.
        """
        with self._lock:
            self._closed = True
            if not self._at_work:
                self._close()

    def _complete(self, work: Awaitable[Any]) -> Any:
        import asyncio

        with self._lock:
            if self._runner is None:
                self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
            self._at_work = True
        try:
            return self._runner.get_loop().run_until_complete(_as_coroutine(work))
        finally:
            with self._lock:
                self._at_work = False
                if self._closed:
                    self._close()

    def _close(self) -> None:
        import asyncio

        runner, self._runner = self._runner, None
        if runner is None:
            return
        if asyncio._get_running_loop() is None:
            runner.close()
        else:  # no thread could be had to wait in
            runner.get_loop().close()


async def _as_coroutine(work: Awaitable[Any]) -> Any:
    return await work
