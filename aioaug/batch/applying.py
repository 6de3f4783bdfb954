"""A function applied to every item of a batch, and the results put together.

The decorators do the same for methods. A method that works in parallel has a twin to be awaited:
`rotate` and `rotate_async`.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, ParamSpec, TypeVar, overload

from .._base.arguments import one_of
from .._base.signatures import accepts
from ..errors import ParallelError
from .calls import Call, Steps, Task, Work, check_limits, check_target, drive, drive_async
from .components import items_of
from .expressions import P, draw, evaluate, of_items
from .randomness import BatchRandom
from .workers import UnboundCall

# The arguments of a call: positional ones, and those by name.
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Method = TypeVar("Method", bound=Callable[..., Any])
Params = ParamSpec("Params")


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
    on_error: Any = "raise",
    n_workers: Any = None,
    timeout: Any = None,
    **kwargs: Any,
) -> Steps:
    """The steps of `Batch.apply_parallel`, which see for the arguments."""
    skips = one_of("on_error", on_error, ("raise", "skip")) == "skip"
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
    if skips and (init is not None or post != "_assemble"):
        raise ValueError("on_error='skip' is for the items of the batch, without init and post")
    post = _named(batch, "post", post)
    failed: dict[int, Exception] = {}
    path = batch._random.next_path()
    result: Any = batch
    pairs, several = _pairs(batch, src, dst, init)
    for src, dst in pairs:
        given = {"src": src, "dst": dst}
        task = Task(func, {name: given[name] for name in given if accepts(func, name)}, *path)
        passed = {**given, "p": p, "target": target, **kwargs}
        if init is None:
            elements: list[Arguments] = [((item,), {}) for item in items_of(batch, src)]
        else:
            init = getattr(batch, init) if isinstance(init, str) else init
            elements = _elements(init, **passed)
        calls, passthrough = _calls(elements, args, kwargs, p, seeds)
        results = yield Work(task, calls, target, limits, passthrough, labels=batch.indices)
        if skips:
            results = _stood_in_for(results, failed)
        result = post(results, **given, **kwargs)
    if failed:
        _leave_out(batch, failed)
    return batch if several else result


def _stood_in_for(results: list[Any], failed: dict[int, Exception]) -> list[Any]:
    """The results, with one that worked in the place of each that failed, which is noted."""
    errors = _failures(results)
    if len(errors) == len(results):
        return results
    failed |= errors
    worked = next(result for n, result in enumerate(results) if n not in errors)
    return [worked if n in errors else result for n, result in enumerate(results)]


def _leave_out(batch: Any, failed: dict[int, Exception]) -> None:
    """Take the items that failed out of a batch; what stands in their rows is not theirs."""
    if len(failed) == len(batch):
        raise ParallelError("All items failed", failed) from failed[0]
    why = f"{len(failed)} of {len(batch)} items are left out, the first: {failed[min(failed)]!r}"
    warnings.warn(why, RuntimeWarning, stacklevel=2)
    batch._keep([n for n in range(len(batch)) if n not in failed])


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
    if given["init"] is None:
        raise ValueError("init must not be None")
    init, post = (_named(batch, name, given[name]) for name in ("init", "post"))
    calls, _ = _calls(_elements(init, *args, **passed), args, kwargs)
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
    if errors := _failures(results):
        raise ParallelError(message, errors) from next(iter(errors.values()))


def _failures(results: Sequence[Any]) -> dict[int, Exception]:
    return {n: result for n, result in enumerate(results) if isinstance(result, Exception)}


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


def _elements(init: Any, *args: Any, **passed: Any) -> list[Arguments]:
    """The arguments of each call out of what `init` gives."""
    return [_arguments(element) for element in (init(*args, **passed) if callable(init) else init)]


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
    if isinstance(element, tuple) and [type(part) for part in element] == [tuple, dict]:
        return element[0], dict(element[1])
    if isinstance(element, dict):
        return (), dict(element)
    return (tuple(element) if isinstance(element, list | tuple) else (element,)), {}


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


@overload
def action(method: Method, /) -> Method: ...


@overload
def action(
    *, use_lock: bool | str | None = None, no_eval: Any = None, ordered: bool | None = None
) -> Callable[[Method], Method]: ...


def action(
    *args: Any,
    use_lock: bool | str | None = None,
    no_eval: Any = None,
    ordered: bool | None = None,
) -> Any:
    """Mark a method as an action, which pipelines can record; bare or with named arguments.

    Args:
        use_lock: let one batch at a time into the method, in a pipeline: all methods with a lock
            of the same name, or with `True` this one.
        no_eval: the name of an argument, or names, whose expressions the method works out itself.
        ordered: call the method for one batch at a time, in the order of the batches, also where
            a pipeline works on several at once. A batch that failed before is passed over.

    Example::

        @action(use_lock=True)
        def note(self, path): ...
    """
    if args:
        return _bare(action, args, {"use_lock": use_lock, "no_eval": no_eval, "ordered": ordered})
    skipped = [no_eval] if isinstance(no_eval, str) else list(no_eval or ())

    def mark(method: Method) -> Method:
        marked: Any = method
        if use_lock:
            marked = _locked(method, use_lock if isinstance(use_lock, str) else method.__qualname__)
        marked.action = {
            "method": method,
            "use_lock": use_lock,
            "no_eval": skipped,
            "ordered": bool(ordered),
        }
        return marked  # type: ignore[no-any-return]

    return mark


@overload
def apply_parallel(method: Callable[..., Any], /) -> Callable[..., Any]: ...


@overload
def apply_parallel(**kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...


def apply_parallel(*args: Any, **kwargs: Any) -> Any:
    """Have a method called for every item; bare or with named arguments of `Batch.apply_parallel`.

    Arguments of a call count before these, and these before the class's `apply_defaults`. The
    method itself stays as `_name_`, and `name_async` is to be awaited.

    Example::

        @apply_parallel(src="images", target="for")
        def invert(self, image):
            return 255 - image
    """
    if args:
        return _bare(apply_parallel, args, kwargs)

    def mark(method: Method) -> Method:
        method.apply_kwargs = kwargs  # type: ignore[attr-defined]
        return method

    return mark


def inbatch_parallel(
    init: Any,
    post: Any = None,
    target: str = "threads",
    _use_self: bool | None = None,
    debug: bool = False,
    **extra: Any,
) -> Callable[[Method], Method]:
    """Have a method called once for each element that `init` gives; `post` gets the results.

    Args:
        init: the name of a method or property of the batch, a callable, or the elements
            themselves. Each is `((args), {kwargs})`, a dict of keyword arguments, a list or
            tuple of arguments, or the one argument.
        post: the name of a method, or a callable; `None` returns the batch, and raises if a call
            failed.
        target: `"for"`, `"threads"`, `"mpc"` or `"async"`; coroutine functions are always async.
        debug: with "for", let the first exception through as it is.
        extra: further arguments for `init` and `post`.

    A call of the method may bring `target`, `debug`, `n_workers` and `timeout` of its own.

    Raises:
        ValueError: there is no such target, or `debug` is not for it.
    """
    if check_target(target) != "f" and debug:
        raise ValueError(f"debug needs target='for', got {target!r}")
    given = {"init": init, "post": post, "target": target, "debug": debug, "extra": extra}

    def decorate(method: Method) -> Method:
        parent = method.__qualname__.rpartition(".")[0]
        bound = bool(parent) and not parent.endswith("<locals>") if _use_self is None else _use_self

        @functools.wraps(method)
        def steps(*args: Any, **kwargs: Any) -> Steps:
            batch, args = (args[:1], args[1:]) if bound else ((), args)
            call = UnboundCall(method, *batch)
            return inbatch_steps(batch[0] if batch else None, call, given, *args, **kwargs)

        found: Any = with_twin(steps)
        return found  # type: ignore[no-any-return]

    return decorate


def with_twin(steps: Callable[Params, Steps]) -> Callable[Params, Any]:
    """A function that takes these steps; as a method of a batch it has a twin that awaits them."""

    @functools.wraps(steps)
    def blocking(*args: Params.args, **kwargs: Params.kwargs) -> Any:
        return drive(steps(*args, **kwargs))

    async def twin(*args: Params.args, **kwargs: Params.kwargs) -> Any:
        return await drive_async(steps(*args, **kwargs))

    twin.__doc__, twin.__module__ = steps.__doc__, steps.__module__
    twin.__name__, twin.__qualname__ = f"{steps.__name__}_async", f"{steps.__qualname__}_async"
    both: Any = blocking
    both.twin, both.steps = twin, steps
    return both  # type: ignore[no-any-return]


def finish_class(cls: type) -> None:
    """Put what the decorators have marked into effect."""
    for name, method in list(vars(cls).items()):
        if hasattr(method, "apply_kwargs"):
            method = _for_each_item(cls, name, method)
            setattr(cls, name, method)
        if inspect.isfunction(method) and hasattr(method, "twin"):
            setattr(cls, f"{name}_async", method.twin)


def _for_each_item(cls: type, name: str, method: Any) -> Any:
    function = getattr(method, "__func__", method)  # of a static or a class method

    @functools.wraps(function)
    def steps(batch: Any, *args: Any, **kwargs: Any) -> Steps:
        options = {**batch.apply_defaults, **method.apply_kwargs, **kwargs}
        first = (options.pop(key, None) for key in ("init", "post", "src", "dst"))
        return apply_steps(batch, method.__get__(batch, type(batch)), *first, *args, **options)

    both = with_twin(steps)
    for key in ("apply_kwargs", "__wrapped__"):
        vars(both).pop(key, None)
    # Bound methods travel by their name.
    function.__name__, function.__qualname__ = f"_{name}_", f"{cls.__qualname__}._{name}_"
    setattr(cls, f"_{name}_", method)
    return action(both)


def _locked(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(self: Any, *args: Any, **kwargs: Any) -> Any:
        with nullcontext() if self.pipeline is None else self.pipeline.lock(name):
            return method(self, *args, **kwargs)

    vars(locked).pop("steps", None)  # they would be taken without the lock
    return locked


def _bare(decorator: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    used = any(value is not None for value in named.values())
    if len(args) > 1 or used or not (callable(args[0]) or hasattr(args[0], "__func__")):
        raise ValueError(f"@{decorator.__name__} takes named arguments only, got {args!r}")
    return decorator()(args[0])
