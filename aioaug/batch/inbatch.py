"""From what an `init` gives to calls, and from their results to what a `post` makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .._base.arguments import whole_or_none
from ..errors import ParallelError
from .calls import Call, Task, UnboundCall, Work
from .driving import Steps
from .expressions import P, evaluate
from .rng import key_of, seed_sequence
from .targets import check_target


def steps_of(
    batch: Any,
    function: UnboundCall,
    given: dict[str, Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> Steps:
    """The steps of a method with `inbatch_parallel`; `given` are the decorator's arguments."""
    target = check_target(kwargs.pop("target", given["target"]))
    debug = kwargs.pop("debug", given["debug"])
    workers, timeout = check_limits(kwargs.pop("n_workers", None), kwargs.pop("timeout", None))
    args, kwargs = evaluate((tuple(args), kwargs), batch)
    passed = given["extra"] | kwargs
    init, post = (find(batch, name, given[name]) for name in ("init", "post"))
    if init is None:
        raise ValueError("init must not be None")
    elements = list(init(*args, **passed) if callable(init) else init)
    root, path = (key_of(seed_sequence()), ()) if batch is None else batch._next_path()
    calls = calls_with([arguments(element) for element in elements], args, kwargs)
    labels = () if batch is None else batch.indices
    task = Task(function, {}, root, path)
    results = yield Work(task, calls, {}, target, workers, timeout, debug, labels)
    if post is not None:
        return post(results, *args, **passed)
    if any(isinstance(result, Exception) for result in results):
        raise ParallelError("Parallel action failed", failures(results)) from first(results)
    return batch


def find(batch: Any, argument: str, value: Any) -> Any:
    """What an `init` or a `post` stands for: a name is of an attribute of the batch."""
    if not isinstance(value, str):
        return value
    try:
        return getattr(batch, value)
    except AttributeError as error:
        raise ValueError(f"{argument}={value!r} is no attribute of {type(batch)}") from error


def arguments(element: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that an element of `init` stands for."""
    match element:
        case (tuple() as args, dict() as kwargs) if isinstance(element, tuple):
            return args, dict(kwargs)
        case dict():
            return (), dict(element)
        case list() | tuple():
            return tuple(element), {}
    return (element,), {}


def calls_with(
    elements: Sequence[tuple[tuple[Any, ...], dict[str, Any]]],
    args: Iterable[Any],
    kwargs: dict[str, Any],
) -> list[Call]:
    """A call for each element, with further arguments; those of `P` give each call its own."""
    count = len(elements)
    each_args = [_spread(f"argument {n}", value, count) for n, value in enumerate(args)]
    each_kwargs = {name: _spread(name, value, count) for name, value in kwargs.items()}
    return [
        Call(
            position,
            first + tuple(values[position] for values in each_args),
            own | {name: values[position] for name, values in each_kwargs.items()},
        )
        for position, (first, own) in enumerate(elements)
    ]


def check_limits(workers: Any, timeout: Any) -> tuple[int | None, float | None]:
    """`n_workers` and `timeout`, or an error that names them."""
    if timeout is not None and not (isinstance(timeout, int | float) and timeout >= 0):
        raise ValueError(f"timeout must be a number of seconds, at least 0, got {timeout!r}")
    return whole_or_none("n_workers", workers, low=1), timeout


def first(results: Iterable[Any]) -> Exception:
    """The first exception among results."""
    return next(result for result in results if isinstance(result, Exception))


def _spread(name: str, value: Any, count: int) -> Any:
    return value.spread(name, count) if isinstance(value, P) else [value] * count


def failures(results: Sequence[Any]) -> dict[int, Exception]:
    """The exceptions among results, by position."""
    return {n: result for n, result in enumerate(results) if isinstance(result, Exception)}
