"""Actions of batches, written down to be done later."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from .._aio.tasks import in_thread
from . import workers
from .core import Core
from .expressions import evaluate


class _Action(NamedTuple):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Actions:
    """Actions of a class of batches in a row, recorded by calling them as methods."""

    def __init__(self, dataset: Any = None, actions: Sequence[_Action] = ()) -> None:
        self.dataset = dataset
        self._actions = tuple(actions)
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        for each in self._actions if dataset is not None else ():
            self._check(each.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._check(name)

        def record(*args: Any, **kwargs: Any) -> Any:
            return type(self)(self.dataset, (*self._actions, _Action(name, args, kwargs)))

        return record

    def __add__(self, other: Actions) -> Self:
        if not isinstance(other, Actions):
            return NotImplemented
        dataset = other.dataset if self.dataset is None else self.dataset
        return type(self)(dataset, self._actions + other._actions)

    def __lshift__(self, dataset: Any) -> Self:
        return type(self)(dataset, self._actions)

    def __len__(self) -> int:
        return len(self._actions)

    def lock(self, name: str) -> threading.Lock:
        """The lock of this name, which the pipeline's batches share."""
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())

    def execute_for(self, batch: Any, iteration: int | None = None, seed: Any = None) -> Any:
        """Do all actions on one batch, and return what the last one returns."""
        batch = self._begin(batch, iteration, seed)
        for each in self._actions:
            with _Noted(each, iteration):
                method, args, kwargs = self._prepared(batch, each)
                found = method(*args, **kwargs)
                if inspect.isawaitable(found):
                    found = workers.call(_awaited, found)
                batch = self._continued(found, each)
        return batch

    async def execute_for_async(
        self, batch: Any, iteration: int | None = None, seed: Any = None
    ) -> Any:
        """`execute_for` for coroutines: parallel actions are awaited, others run in threads."""
        batch = await in_thread(self._begin, batch, iteration, seed)
        for each in self._actions:
            with _Noted(each, iteration):
                method, args, kwargs = await in_thread(self._prepared, batch, each)
                twin = getattr(batch, f"{each.name}_async", None)
                if inspect.iscoroutinefunction(method):
                    found = await method(*args, **kwargs)
                elif twin is not None and not method.action["use_lock"]:
                    found = await twin(*args, **kwargs)
                else:
                    found = await in_thread(lambda call=method, a=args, k=kwargs: call(*a, **k))
                batch = self._continued(found, each)
        return batch

    def _begin(self, batch: Any, iteration: int | None, seed: Any) -> Any:
        batch.pipeline, batch.iteration = self, iteration
        if seed is not None:
            batch.random_seed = seed
        batch._load_pending()
        return batch

    def _prepared(self, batch: Any, each: _Action) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        method = getattr(batch, each.name)
        skipped = method.action["no_eval"]
        kwargs = {
            name: value if name in skipped else evaluate(value, batch)
            for name, value in each.kwargs.items()
        }
        return method, evaluate(each.args, batch), kwargs

    def _continued(self, batch: Any, each: _Action) -> Any:
        if not isinstance(batch, Core):
            raise TypeError(f"action {each.name!r} must return a batch, got {batch!r}")
        batch.pipeline = self
        return batch

    def _check(self, name: str) -> None:
        if self.dataset is None:
            return
        kind = self.dataset.batch_class
        if not hasattr(getattr(kind, name, None), "action"):
            raise AttributeError(f"{kind.__name__} has no action {name!r}; is it marked @action?")


class _Noted:
    """Notes on an exception which action it came from."""

    def __init__(self, each: _Action, iteration: int | None) -> None:
        self._words = f"in action {each.name!r}"
        if iteration is not None:
            self._words += f" of batch {iteration}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            error.add_note(self._words)


async def _awaited(found: Any) -> Any:
    return await found
