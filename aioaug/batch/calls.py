"""A function and what it is called with, item by item: plain data that may travel."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .rng import ITEM, ItemRandom, Key, make_rng


@dataclass(frozen=True)
class Task:
    """What all calls have in common.

    `root` is the key of the batch's seed, `path` the number of the call.
    """

    function: Callable[..., Any]
    kwargs: dict[str, Any]
    root: Key
    path: tuple[int, ...]

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        function = inspect.unwrap(getattr(self.function, "function", self.function))
        return inspect.iscoroutinefunction(function)


@dataclass(frozen=True)
class Call:
    """What one call has of its own; with `seed`, it gets a generator `rng`."""

    position: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None


@dataclass(frozen=True)
class Work:
    """Calls to be made, and where. `passthrough` are results, by position, that need no call."""

    task: Task
    calls: list[Call]
    passthrough: dict[int, Any]
    target: str
    workers: int | None = None
    timeout: float | None = None
    debug: bool = False
    labels: Any = ()

    def note(self, position: int) -> str:
        """Words that say which item a call was for."""
        name = getattr(self.task.function, "__qualname__", repr(self.task.function))
        label = ""
        if len(self.labels) == len(self.calls) + len(self.passthrough):
            label = f" (index {self.labels[position]})"
        return f"while applying {name} to item {position}{label}"


def begin(task: Task, call: Call) -> Any:
    """Call the function; the context it is called in stays that of the item."""
    ITEM.set(ItemRandom(task.root, (*task.path, call.position)))
    kwargs = {**task.kwargs, **call.kwargs}
    if call.seed is not None:
        kwargs["rng"] = make_rng(call.seed)
    return task.function(*call.args, **kwargs)


def perform(task: Task, call: Call) -> Any:
    """Call the function, and leave the context as it was."""
    before = ITEM.get()
    try:
        return begin(task, call)
    finally:
        ITEM.set(before)


class UnboundCall:
    """A decorated method without its decorators, bound to a batch; it pickles by its name."""

    def __init__(self, method: Callable[..., Any], *bound: Any) -> None:
        self.function = method
        self._bound = bound
        self.__qualname__ = method.__qualname__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*self._bound, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _find_unbound, (self.function.__module__, self.function.__qualname__, self._bound)


def _find_unbound(module: str, qualname: str, bound: tuple[Any, ...]) -> UnboundCall:
    import importlib

    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    return UnboundCall(inspect.unwrap(found), *bound)
