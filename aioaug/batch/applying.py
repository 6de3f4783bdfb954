"""A function applied to every item of a batch, and the results put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .._base.signatures import accepts
from ..errors import ParallelError
from .calls import Call, Steps, Task, Work, check_limits, check_target
from .components import rows
from .values import BatchRandom, P, draw, evaluate, of_items

# The arguments of a call: positional ones, and those by name.
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def apply_steps(
    batch: Any,
    func: Any,
    /,
    init: Any = None,
    post: Any = None,
    src: Any = None,
    dst: Any = None,
    *args: Any,
    p: Any = None,
    target: Any = "for",
    requires_rng: bool = False,
    rng_seeds: Any = None,
    n_workers: Any = None,
    timeout: Any = None,
    **kwargs: Any,
) -> Steps:
    """The steps of `Batch.apply_parallel`, which see for the arguments."""
    target = check_target(target or batch.apply_defaults.get("target", "for"))
    limits = check_limits(n_workers, timeout)
    init = batch.apply_defaults.get("init") if init is None or init is False else init
    init = None if isinstance(init, str) and init == "data" else init
    func, args, kwargs = evaluate((func, args, kwargs), batch)
    if not callable(func):
        raise TypeError(f"func must be callable, got {func!r}")
    p, seeds = draw(batch, p, requires_rng, evaluate(rng_seeds, batch))
    if post is None or post is False:
        post = batch.apply_defaults.get("post") or "_assemble"
    post = _named(batch, "post", post)
    path = batch._random.next_path()
    result: Any = batch
    pairs, several = _pairs(batch, src, dst, init)
    for src, dst in pairs:
        given = {"src": src, "dst": dst}
        task = Task(func, {name: given[name] for name in given if accepts(func, name)}, *path)
        passed = {**given, "p": p, "target": target, **kwargs}
        elements = _elements(batch, init, src, passed)
        calls, passthrough = _calls(elements, args, kwargs, p, seeds)
        results = yield Work(task, calls, target, limits, passthrough, labels=batch.indices)
        result = post(results, **given, **kwargs)
    return batch if several else result


def inbatch_steps(
    batch: Any,
    function: Callable[..., Any],
    given: dict[str, Any],
    /,
    *args: Any,
    target: Any = None,
    debug: bool | None = None,
    n_workers: Any = None,
    timeout: Any = None,
    **kwargs: Any,
) -> Steps:
    """The steps of a method with `inbatch_parallel`; `given` are the decorator's arguments."""
    target = check_target(given["target"] if target is None else target)
    debug = given["debug"] if debug is None else debug
    limits = check_limits(n_workers, timeout)
    args, kwargs = evaluate((args, kwargs), batch)
    passed = given["extra"] | kwargs
    init, post = (_named(batch, name, given[name]) for name in ("init", "post"))
    if init is None:
        raise ValueError("init must not be None")
    elements = map(_arguments, init(*args, **passed) if callable(init) else init)
    calls, _ = _calls(list(elements), args, kwargs)
    path = (BatchRandom() if batch is None else batch._random).next_path()
    labels = () if batch is None else batch.indices
    task = Task(function, {}, *path)
    results = yield Work(task, calls, target, limits, debug=debug, labels=labels)
    if post is not None:
        return post(results, *args, **passed)
    raise_failures(results, "Parallel action failed")
    return batch


def raise_failures(results: Sequence[Any], message: str) -> None:
    """Raise `ParallelError` from the first exception among the results, if there is one."""
    errors = {n: result for n, result in enumerate(results) if isinstance(result, Exception)}
    if errors:
        raise ParallelError(message, errors) from next(iter(errors.values()))


def _pairs(batch: Any, src: Any, dst: Any, init: Any) -> tuple[Sequence[tuple[Any, Any]], bool]:
    """The sources and where their results go, and whether there may be several."""
    if src is None and init is None:
        src = batch.apply_defaults.get("src")
        if src is None and batch.components is not None:
            src = list(batch.components) if dst is None else batch.components
    if not isinstance(src, list):
        return [(src, dst)], False
    dst = src if dst is None else dst
    if not isinstance(dst, list) or len(src) != len(dst):
        raise ValueError(f"src and dst must be lists of equal length, got {src} and {dst!r}")
    return list(zip(src, dst, strict=True)), True


def _elements(batch: Any, init: Any, src: Any, passed: dict[str, Any]) -> list[Arguments]:
    """The arguments of each call: an item of `src`, or what `init` gives."""
    if init is None:
        return [((item,), {}) for item in _items(batch, src)]
    if isinstance(init, str):
        init = getattr(batch, init)
    return [_arguments(element) for element in (init(**passed) if callable(init) else init)]


def _items(batch: Any, src: Any) -> Iterator[Any]:
    if isinstance(src, tuple):
        return zip(*(_items(batch, each) for each in src), strict=True)
    if src is None:
        return iter(batch)
    if isinstance(src, str):
        name, src = src, batch.get(component=src)
        if src is None:
            raise ValueError(f"component {name!r} holds no data")
    if hasattr(src, "iloc"):
        return (rows(src, position) for position in range(len(src)))
    return iter(src)


def _named(batch: Any, argument: str, value: Any) -> Any:
    """What an `init` or a `post` stands for: a name is of an attribute of the batch."""
    if not isinstance(value, str):
        return value
    try:
        return getattr(batch, value)
    except AttributeError as error:
        raise ValueError(f"{argument}={value!r} is no attribute of {type(batch)}") from error


def _arguments(element: Any) -> Arguments:
    """The arguments that an element of `init` stands for."""
    match element:
        case (tuple() as args, dict() as kwargs) if isinstance(element, tuple):
            return args, dict(kwargs)
        case dict():
            return (), dict(element)
        case list() | tuple():
            return tuple(element), {}
    return (element,), {}


def _calls(
    elements: Sequence[Arguments],
    args: Iterable[Any],
    kwargs: dict[str, Any],
    p: Any = None,
    seeds: Any = None,
) -> tuple[list[Call], dict[int, Any]]:
    """A call for each element, with further arguments; those of `P` give each call its own.

    Also the items that are not drawn, by position: they pass as they are.
    """
    count = len(elements)
    each_args = [_spread(f"argument {n}", value, count) for n, value in enumerate(args)]
    each_kwargs = {name: _spread(name, value, count) for name, value in kwargs.items()}
    chosen, seeds = of_items("p", 1 if p is None else p, count), of_items("rng_seeds", seeds, count)
    calls, passthrough = [], {}
    for position, (first, own) in enumerate(elements):
        if chosen[position]:
            all_args = first + tuple(values[position] for values in each_args)
            all_kwargs = own | {name: values[position] for name, values in each_kwargs.items()}
            seed = seeds[position]
            calls.append(Call(position, all_args, all_kwargs, None if seed is None else int(seed)))
        else:
            passthrough[position] = first[0] if first else None
    return calls, passthrough


def _spread(name: str, value: Any, count: int) -> Any:
    return value.spread(name, count) if isinstance(value, P) else [value] * count
