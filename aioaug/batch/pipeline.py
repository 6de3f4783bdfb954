"""Actions done on the batches of a dataset: one after another, ahead, blocking or awaited."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from itertools import chain
from typing import Any, NamedTuple, Self

from .._aio.bridge import BlockingBridge
from .._aio.turns import Turns
from .._base.arguments import one_of, whole
from .._base.seeding import IndexAllocator, seed_sequence
from .._streaming.feeder import Feeder
from .._streaming.output_buffer import OutputBuffer
from .._streaming.sources import open_source
from .._streaming.state import DeliveryTracker
from .._streaming.stream_core import StreamCore
from ..stats import Meter
from ..streams import BatchStream
from .applying import Steps, steps_of, with_twin
from .calls import key_of, seed_at
from .components import LEFT_OUT
from .data import BatchData
from .expressions import Expression, evaluate, outlives_batch
from .index import BatchRun


class RecordedAction(NamedTuple):
    """A method of batches by its name; or a function, and where its result goes."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    function: Any = None
    save_to: Expression | None = None


class Pipeline:
    """Actions of a class of batches in a row, recorded by calling them as methods.

    Nothing is done before `run`, `gen_batch` or `next_batch`, or their twins for coroutines.
    Each recorded call makes a new pipeline, so one may be continued in several ways. `first +
    second` joins two, `dataset >> pipeline` binds one to a dataset. `config` are options by name,
    which `C` stands for.

    Arguments that are expressions (`R`, `P`, `B`) are worked out for each batch. What a batch
    draws depends on `shuffle`, if that is a number, and on the batch's place in the run, not on
    `prefetch`. A negative `shuffle` fixes what is drawn and leaves the order.
    """

    _batches: Iterator[Any] | None = None  # those that `next_batch` goes through

    def __init__(self, dataset: Any = None, config: Mapping[str, Any] | None = None) -> None:
        self.dataset = dataset
        self.config = dict(config or {})
        self._initial: dict[str, Any] = {}
        self._actions: tuple[RecordedAction, ...] = ()
        # The pipeline whose batches are regrouped, how, and the class they have then.
        self._before: tuple[Pipeline, Callable[..., Iterator[Any]], Any] | None = None
        self._locks: dict[str, threading.Lock] = {}

    def _changed(self, **changes: Any) -> Self:
        """A pipeline like this one, apart from some attributes; its variables are new."""
        twin = copy.copy(self)
        vars(twin).update({"config": dict(self.config), "_locks": {}} | changes)
        twin.reset("iter", "vars")
        for each in twin._actions:
            if each.function is None:
                twin._check(each.name)
        return twin

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._check(name)
        return lambda *args, **kwargs: self._recorded(RecordedAction(name, args, kwargs))

    def _recorded(self, action: RecordedAction) -> Self:
        return self._changed(_actions=(*self._actions, action))

    def __add__(self, other: Pipeline) -> Self:
        if not isinstance(other, Pipeline):
            return NotImplemented
        own: dict[str, Any] = {
            "dataset": other.dataset if self.dataset is None else self.dataset,
            "config": self.config | other.config,
            "_initial": self._initial | other._initial,
            "_actions": self._actions + other._actions,
        }
        if other._before is not None:
            before, *rest = other._before
            own |= {"_before": (self + before, *rest), "_actions": other._actions}
        return self._changed(**own)

    def __lshift__(self, dataset: Any) -> Self:
        return self._changed(dataset=dataset)

    def __len__(self) -> int:
        return len(self._actions)

    def lock(self, name: str) -> threading.Lock:
        """The lock of this name, which the pipeline's batches share."""
        # One step, so that threads that come at once get the same.
        return self._locks.setdefault(name, threading.Lock())

    def call(
        self, function: Any, *args: Any, save_to: Expression | None = None, **kwargs: Any
    ) -> Self:
        """Record the call of a function, which may be an expression, with these arguments.

        `save_to` is where its result goes: a component or an attribute (`B.found`), an item of
        one, a variable (`V`), an option (`C`). Where that outlives the batch, the calls are made in
        the order of the batches, one after another.
        """
        if not (save_to is None or isinstance(save_to, Expression)):
            raise TypeError(f"save_to must be an expression such as B.name, got {save_to!r}")
        return self._recorded(RecordedAction("call", args, kwargs, function, save_to))

    def update(self, target: Expression, value: Any = None) -> Self:
        """Record that a value, or that of an expression, goes where `save_to` of `call` may."""
        return self.call(lambda value: value, value, save_to=target)

    save_to = update

    def rebatch(
        self,
        batch_size: int,
        merge: Callable[..., tuple[Any, Any]] | None = None,
        components: Any = None,
        batch_class: Any = None,
    ) -> Self:
        """A pipeline whose batches are made of those of this one, `batch_size` items in each.

        The last one may be smaller. `merge`, by default that of the batches' class, gets a list of
        batches and the other arguments, and returns a batch and the rest.
        """
        whole("batch_size", batch_size, low=1)
        options = {"components": components, "batch_class": batch_class}
        regrouped = partial(_regrouped, size=batch_size, merge=merge, **options)
        return self._changed(_actions=(), _before=(self, regrouped, batch_class))

    def init_variable(self, name: str, default: Any = None) -> Self:
        """A pipeline with one more variable, whose value before a run is a copy of `default`."""
        return self._changed(_initial={**self._initial, name: default})

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The values of variables by name, made before the first batch."""
        return copy.deepcopy(self._initial)

    def get_variable(self, name: str) -> Any:
        """The value of a variable; `KeyError` if there is none."""
        return self.variables[name]

    v = get_variable

    def set_variable(self, name: str, value: Any) -> None:
        """Give a variable a value at once."""
        self.variables[name] = value

    def set_config(self, config: Mapping[str, Any]) -> Self:
        """Add options to `config`, or replace them, at once; returns the pipeline."""
        self.config |= config
        return self

    @with_twin
    def execute_for(
        self, batch: Any, iteration: int | None = None, seed: Any = None, _turns: Any = ()
    ) -> Steps:
        """Do all actions on one batch, and return what the last one returns; it blocks."""
        batch.pipeline, batch.iteration = self, iteration
        if seed is not None:
            batch.random_seed = seed
        batch._load_pending()
        for place, each in enumerate(self._actions):
            try:
                if place in _turns:
                    yield partial(_turns[place].wait, iteration or 0)
                batch = yield from self._act(each, batch)
                if not isinstance(batch, BatchData):
                    raise TypeError(f"action {each.name!r} must return a batch, got {batch!r}")
                batch.pipeline = self
                if place in _turns:
                    yield partial(_turns[place].leave, iteration or 0)
            except BaseException as error:
                number = "" if iteration is None else f" of batch {iteration}"
                error.add_note(f"in action {each.name!r}{number}")
                raise
        return batch

    execute_for_async = execute_for.twin  # type: ignore[attr-defined]

    def _act(self, each: RecordedAction, batch: Any) -> Steps:
        args = evaluate(each.args, batch)
        if each.function is not None:
            function, kwargs = evaluate((each.function, each.kwargs), batch)
            found = yield partial(function, *args, **kwargs)
            if each.save_to is not None:
                each.save_to.set(batch, found)
            return batch
        method = getattr(type(batch), each.name)
        skipped = method.action["no_eval"]
        wanted = {name: value for name, value in each.kwargs.items() if name not in skipped}
        kwargs = each.kwargs | evaluate(wanted, batch)
        return (yield from steps_of(method)(batch, *args, **kwargs))

    def _turns(self) -> dict[int, Turns]:
        """For a run, who is next at each action that is done in the order of the batches."""
        kind, turns = self._batch_class(), {}
        for place, each in enumerate(self._actions):
            marks = {} if each.function is not None else getattr(kind, each.name).action
            if marks.get("ordered") or outlives_batch(each.save_to):
                turns[place] = Turns()
        return turns

    def _batch_class(self) -> Any:
        given = None if self._before is None else self._before[2]
        return given or (None if self.dataset is None else self.dataset.batch_class)

    def _check(self, name: str) -> None:
        if (kind := self._batch_class()) and not hasattr(getattr(kind, name, None), "action"):
            hint = f"is it marked @action? {LEFT_OUT}"
            raise AttributeError(f"{kind.__name__} has no action {name!r}; {hint}")

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
        self, batch_size: int, *args: Any, prefetch: int = 0, **kwargs: Any
    ) -> Iterator[Any]:
        """The batches with all actions done, in order; one epoch, if neither limit is given.

        `prefetch` batches are worked on while the caller uses one. The other arguments are those
        of `DatasetIndex.next_batch`.
        """
        run = BatchRun(batch_size, *args, **kwargs).ending()
        return self._generated(run, whole("prefetch", prefetch, low=0))

    def gen_batch_async(
        self, batch_size: int, *args: Any, prefetch: int = 0, **kwargs: Any
    ) -> BatchStream:
        """`gen_batch` for coroutines: a stream for `async for`, that ends with `async with`."""
        run = BatchRun(batch_size, *args, **kwargs).ending()
        at_once = whole("prefetch", prefetch, low=0) + 1
        source, seeds = self._source(run, prefetch)
        turns = self._turns()

        async def call(chunk: Sequence[tuple[int, Any]]) -> list[Any]:
            ((number, batch),) = chunk
            try:
                return [await self.execute_for_async(batch, number + 1, seeds(number), turns)]
            finally:  # one that failed is not waited for
                for each in turns.values():
                    await each.leave(number + 1)

        tracker, buffer = DeliveryTracker(IndexAllocator()), OutputBuffer(at_once)
        feeder = Feeder(
            call, open_source(source), tracker, Meter(), buffer=buffer, at_once=lambda: at_once
        )
        return BatchStream(StreamCore(feeder, ordered=True))

    def next_batch(self, batch_size: int, *args: Any, **kwargs: Any) -> Any:
        """The next batch with all actions done; `StopIteration` after the last one.

        It goes on for ever, unless there is a limit. Its first call, or that after `reset`,
        decides on the arguments, which are those of `DatasetIndex.next_batch`.
        """
        if self._batches is None:
            self._batches = self._generated(BatchRun(batch_size, *args, **kwargs))
        return next(self._batches)

    def reset(self, *what: str) -> None:
        """Have `next_batch` start again ("iter", the default), or variables ("vars")."""
        for each in what or ("iter",):
            one_of("what", each, ("iter", "vars"))
            vars(self).pop("_batches" if each == "iter" else "variables", None)

    def _generated(self, run: BatchRun, prefetch: int = 0) -> Iterator[Any]:
        if prefetch:
            return _blocking(self.gen_batch_async(*run, prefetch=prefetch))
        source, seeds = self._source(run)
        return (self.execute_for(batch, n + 1, seeds(n)) for n, batch in enumerate(source))

    def _source(self, run: BatchRun, ahead: int = 0) -> tuple[Iterator[Any], Callable[[int], Any]]:
        """The batches before any action, and the seed of each by its number."""
        if self.dataset is None:
            raise ValueError("the pipeline has no dataset; use dataset >> pipeline")
        if not isinstance(run.shuffle, int):
            raise TypeError(f"shuffle must be a bool or an int, got {run.shuffle!r}")
        if self._before is not None:
            pipeline, regrouped, _ = self._before
            inner = pipeline << self.dataset
            vars(inner).update(variables=self.variables, config=self.config)
            # The seeds of its own batches must be others than those of the batches before.
            _, seeds = inner._source(run)
            return regrouped(inner._generated(run, ahead)), lambda n: seeds(n).spawn(1)[0]
        _ = self.variables  # several batches that made them at once would make them twice
        drawn = run.shuffle is not False and run.shuffle is not True
        # The second child is for what concerns no batch, the third for the batches.
        order, _, execution = seed_sequence(abs(run.shuffle) if drawn else None).spawn(3)
        in_order = run.shuffle is False or (drawn and run.shuffle < 0)
        batches = self.dataset.gen_batch(*run._replace(shuffle=False if in_order else order))
        numbered = _numbered(batches, run.batches(len(self.dataset)))
        return numbered, lambda n: seed_at(key_of(execution), (n,))


def _regrouped(batches: Generator[Any], size: int, merge: Any, **options: Any) -> Iterator[Any]:
    """The items of these batches in batches of another size, the last of which may be smaller."""
    left: list[Any] = []
    with closing(batches):
        for batch in chain(batches, [None]):
            left += [] if batch is None else [batch]
            while left and (batch is None or sum(map(len, left)) >= size):
                found, rest = (merge or left[0].merge)(left, batch_size=size, **options)
                left = [] if rest is None else [rest]
                yield found


def _numbered(batches: Iterator[Any], total: int | None) -> Iterator[Any]:
    for batch in batches:
        batch.iterations = total
        yield batch


def _blocking(stream: BatchStream) -> Iterator[Any]:
    """The batches of a stream that runs on the loop of a thread."""
    bridge = BlockingBridge("pipeline")
    try:
        yield from iter(partial(bridge.call, anext, stream, None), None)
    finally:
        bridge.end(stream.aclose)
