"""Actions done on the batches of a dataset: one after another, ahead, blocking or awaited."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Self

from .._aio.bridge import BlockingBridge
from .._base.arguments import whole
from .._base.seeding import IndexAllocator
from .._streaming.core import StreamCore
from .._streaming.feeder import Feeder
from .._streaming.sources import open_source
from .._streaming.state import DeliveryTracker
from .._streaming.window import Window
from ..stats import Meter
from ..streams import BatchStream
from .calls import Steps, drive, drive_async
from .data import BatchData
from .values import evaluate, seed_sequence

_LEFT_OUT = ("rebatch", "update", "init_variable", "init_model", "train_model", "import_model")


class _Action(NamedTuple):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Pipeline:
    """Actions of a class of batches in a row, recorded by calling them as methods.

    Nothing is done before `run`, `gen_batch` or `next_batch`, or their twins for coroutines.
    Each recorded call makes a new pipeline, so one may be continued in several ways. `first +
    second` joins two, `dataset >> pipeline` binds one to a dataset.

    Arguments that are expressions (`R`, `P`, `B`) are worked out for each batch. What a batch
    draws depends on `shuffle`, if that is a number, and on the batch's place in the run, not on
    `prefetch`. A negative `shuffle` fixes what is drawn and leaves the order.

    Example::

        pipeline = dataset.pipeline().load(src="data.npz", fmt="npz").rotate(angle=P(R("normal")))
        pipeline.run(16, shuffle=1, n_epochs=2)
        async for batch in pipeline.gen_batch_async(16, shuffle=1, prefetch=2):
            ...
    """

    def __init__(self, dataset: Any = None, actions: Sequence[_Action] = ()) -> None:
        self.dataset = dataset
        self._actions = tuple(actions)
        self._locks: dict[str, threading.Lock] = {}
        self._batches: Iterator[Any] | None = None  # those that `next_batch` goes through
        for each in self._actions:
            self._check(each.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._check(name)

        def record(*args: Any, **kwargs: Any) -> Any:
            return type(self)(self.dataset, (*self._actions, _Action(name, args, kwargs)))

        return record

    def __add__(self, other: Pipeline) -> Self:
        if not isinstance(other, Pipeline):
            return NotImplemented
        dataset = other.dataset if self.dataset is None else self.dataset
        return type(self)(dataset, self._actions + other._actions)

    def __lshift__(self, dataset: Any) -> Self:
        return type(self)(dataset, self._actions)

    def __len__(self) -> int:
        return len(self._actions)

    def lock(self, name: str) -> threading.Lock:
        """The lock of this name, which the pipeline's batches share."""
        # One step, so that threads that come at once get the same.
        return self._locks.setdefault(name, threading.Lock())

    # -- one batch --

    def execute_for(self, batch: Any, iteration: int | None = None, seed: Any = None) -> Any:
        """Do all actions on one batch, and return what the last one returns."""
        with _noted(iteration) as current:
            return drive(self._steps(batch, iteration, seed, current))

    async def execute_for_async(
        self, batch: Any, iteration: int | None = None, seed: Any = None
    ) -> Any:
        """`execute_for` for coroutines: parallel actions are awaited, others run in threads."""
        with _noted(iteration) as current:
            return await drive_async(self._steps(batch, iteration, seed, current))

    def _steps(self, batch: Any, iteration: int | None, seed: Any, current: list[_Action]) -> Steps:
        batch.pipeline, batch.iteration = self, iteration
        if seed is not None:
            batch.random_seed = seed
        batch._load_pending()
        for each in self._actions:
            current[:] = [each]
            method = getattr(batch, each.name)
            skipped = method.action["no_eval"]
            args = evaluate(each.args, batch)
            kwargs = {
                name: value if name in skipped else evaluate(value, batch)
                for name, value in each.kwargs.items()
            }
            if hasattr(method, "steps"):
                batch = yield from method.steps(batch, *args, **kwargs)
            else:
                batch = yield partial(method, *args, **kwargs)
            if not isinstance(batch, BatchData):
                raise TypeError(f"action {each.name!r} must return a batch, got {batch!r}")
            batch.pipeline = self
        return batch

    def _check(self, name: str) -> None:
        kind = None if self.dataset is None else self.dataset.batch_class
        if kind is not None and not hasattr(getattr(kind, name, None), "action"):
            left_out = "; batchflow has it, but it is left out here" if name in _LEFT_OUT else ""
            raise AttributeError(
                f"{kind.__name__} has no action {name!r}; is it marked @action?{left_out}"
            )

    # -- all batches --

    def run(self, batch_size: int, *args: Any, **kwargs: Any) -> Self:
        """Do all actions on all batches, one epoch by default; as `gen_batch`. It blocks."""
        for _ in self.gen_batch(batch_size, *args, **kwargs):
            pass
        return self

    async def run_async(self, batch_size: int, *args: Any, **kwargs: Any) -> Self:
        """`run` for coroutines. Cancelled, it begins no other batch."""
        async with self.gen_batch_async(batch_size, *args, **kwargs) as stream:
            async for _ in stream:
                pass
        return self

    def gen_batch(
        self,
        batch_size: int,
        shuffle: Any = False,
        n_iters: int | None = None,
        n_epochs: int | None = None,
        drop_last: bool = False,
        prefetch: int = 0,
    ) -> Iterator[Any]:
        """The batches with all actions done, in order; one epoch, if neither limit is given.

        `prefetch` batches are worked on while the caller uses one. The other arguments are those
        of `DatasetIndex.next_batch`.
        """
        limits = (n_iters, _epochs(n_iters, n_epochs), drop_last)
        if whole("prefetch", prefetch, low=0):
            return _blocking(self.gen_batch_async(batch_size, shuffle, *limits, prefetch))
        return self._in_turn(batch_size, shuffle, *limits)

    def gen_batch_async(
        self,
        batch_size: int,
        shuffle: Any = False,
        n_iters: int | None = None,
        n_epochs: int | None = None,
        drop_last: bool = False,
        prefetch: int = 0,
    ) -> BatchStream:
        """`gen_batch` for coroutines: a stream for `async for`, that ends with `async with`."""
        limits = (n_iters, _epochs(n_iters, n_epochs), drop_last)
        source, seeds = self._source(batch_size, shuffle, *limits)
        at_once = whole("prefetch", prefetch, low=0) + 1

        async def call(chunk: Sequence[tuple[int, Any]]) -> list[Any]:
            ((number, batch),) = chunk
            return [await self.execute_for_async(batch, number + 1, seeds(number))]

        tracker = DeliveryTracker(IndexAllocator())
        feeder = Feeder(
            call, open_source(source), tracker, Meter(), window=Window(at_once), at_once=at_once
        )
        return BatchStream(StreamCore(feeder, ordered=True))

    def next_batch(
        self, batch_size: int, shuffle: Any = False, n_epochs: int | None = None, **kwargs: Any
    ) -> Any:
        """The next batch with all actions done; `StopIteration` after the last one.

        It goes on for ever, unless there is a limit. Its first call, or that after `reset`,
        decides on the arguments.
        """
        if self._batches is None:
            self._batches = self._in_turn(batch_size, shuffle, n_epochs=n_epochs, **kwargs)
        return next(self._batches)

    def reset(self, what: str = "iter") -> None:
        """Have `next_batch` start again."""
        if what != "iter":
            raise ValueError(f"what must be 'iter', got {what!r}")
        self._batches = None

    def _in_turn(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        source, seeds = self._source(*args, **kwargs)
        return (self.execute_for(batch, n + 1, seeds(n)) for n, batch in enumerate(source))

    def _source(
        self, batch_size: int, shuffle: Any, *limits: Any, **named: Any
    ) -> tuple[Iterator[Any], Callable[[int], Any]]:
        """The batches before any action, and the seed of each by its number."""
        import numpy as np

        if self.dataset is None:
            raise ValueError("the pipeline has no dataset; use dataset >> pipeline")
        if not isinstance(shuffle, int):
            raise TypeError(f"shuffle must be a bool or an int, got {shuffle!r}")
        root = seed_sequence(None if isinstance(shuffle, bool) else abs(shuffle))
        # The second child is for what concerns no batch, the third for the batches.
        order, _, execution = np.random.SeedSequence(root.entropy).spawn(3)
        in_order = shuffle is False or (shuffle is not True and shuffle < 0)
        batches = self.dataset.gen_batch(batch_size, False if in_order else order, *limits, **named)
        entropy, key = execution.entropy, execution.spawn_key
        return batches, lambda n: np.random.SeedSequence(entropy, spawn_key=(*key, n))


def _epochs(n_iters: int | None, n_epochs: int | None) -> int | None:
    return 1 if n_iters is None and n_epochs is None else n_epochs


@contextmanager
def _noted(iteration: int | None) -> Iterator[list[_Action]]:
    """Have an exception say which action it came from, the one that is put into the list."""
    current: list[_Action] = []
    try:
        yield current
    except BaseException as error:
        for each in current:
            batch = "" if iteration is None else f" of batch {iteration}"
            error.add_note(f"in action {each.name!r}{batch}")
        raise


def _blocking(stream: BatchStream) -> Iterator[Any]:
    """The batches of a stream that runs on the loop of a thread."""
    bridge, ended = BlockingBridge("pipeline"), object()
    try:
        while (batch := bridge.call(anext, stream, ended)) is not ended:
            yield batch
    finally:
        bridge.end(stream.aclose)
