"""Decorators for methods of batches, and what becomes of the methods."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from types import FunctionType, MethodType
from typing import Any, TypeVar, overload

from .applying import Steps, apply_steps, call_options, inbatch_steps, steps_of, with_twin

Method = TypeVar("Method", bound=Callable[..., Any])


@overload
def action(method: Method, /) -> Method: ...


@overload
def action(
    *, use_lock: bool | str | None = None, no_eval: Any = None, ordered: bool | None = None
) -> Callable[[Method], Method]: ...


def action(
    method: Any = None, /, *, use_lock: Any = None, no_eval: Any = None, ordered: Any = None
) -> Any:
    """Mark a method as an action, which pipelines can record; bare or with named arguments.

    Args:
        use_lock: let one batch at a time into the method, in a pipeline: all methods with a lock
            of the same name, or with `True` this one.
        no_eval: the name of an argument, or names, whose expressions the method works out itself.
        ordered: call the method for one batch at a time, in the order of the batches, also where
            a pipeline works on several at once. A batch that failed before is passed over.
    """
    marks = {"use_lock": use_lock, "no_eval": no_eval, "ordered": ordered}
    if method is None:
        return functools.partial(action, **marks)
    _check_method("action", method)
    marked = method
    if use_lock:
        marked = _locked(method, use_lock if isinstance(use_lock, str) else method.__qualname__)
    skipped = [no_eval] if isinstance(no_eval, str) else list(no_eval or ())
    marked.action = {**marks, "method": method, "no_eval": skipped, "ordered": bool(ordered)}
    return marked


def apply_parallel(method: Any = None, /, **options: Any) -> Callable[..., Any]:
    """Have a method called for every item; bare or with named arguments of `Batch.apply_parallel`.

    Arguments of a call count before these, and these before the class's `apply_defaults`. The
    method itself stays as `_name_`, and `name_async` is to be awaited.
    """
    if method is None:
        return functools.partial(apply_parallel, **options)
    _check_method("apply_parallel", method)
    marks = {"method": method, **getattr(method, "action", {})}
    method = marks.pop("method")  # without the lock of an `action` below, which is for all items

    @functools.wraps(getattr(method, "__func__", method))  # of a static or a class method
    def steps(batch: Any, *args: Any, **kwargs: Any) -> Steps:
        given = {**batch.apply_defaults, **options, **kwargs}
        first = (given.pop(key, None) for key in ("init", "post", "src", "dst"))
        return apply_steps(batch, method.__get__(batch, type(batch)), *first, *args, **given)

    return action(**marks)(_for_each(method, steps))  # type: ignore[no-any-return]


def inbatch_parallel(
    init: Any,
    post: Any = None,
    target: str = "threads",
    _use_self: bool | None = None,
    debug: bool = False,
    **extra: Any,
) -> Callable[[Method], Method]:
    """Have a method called once for each element that `init` gives; `post` gets the results.

    `init` is the name of a method or property of the batch, a callable, or the elements, which are
    as in `Batch.apply_parallel`. `post` is the name of a method, or a callable; `None` returns the
    batch, and raises if a call failed. Coroutine functions are async on every `target`. With
    `debug` and "for" the first exception comes as it is. `extra` are further arguments for `init`
    and `post`. A call may bring `target`, `debug`, `n_workers`, `timeout` and `engine` of its own.

    Raises `ValueError` if there is no such target, or `debug` is not for it.
    """
    if call_options(target)["place"] != "f" and debug:
        raise ValueError(f"debug needs target='for', got {target!r}")
    given = {"init": init, "post": post, "target": target, "debug": debug, "extra": extra}

    def decorate(method: Method) -> Method:
        parent = method.__qualname__.rpartition(".")[0]
        bound = bool(parent) and not parent.endswith("<locals>") if _use_self is None else _use_self

        @functools.wraps(method)
        def steps(*args: Any, **kwargs: Any) -> Steps:
            batch, args = (args[0], args[1:]) if bound else (None, args)
            function = MethodType(method, batch) if bound else method
            return inbatch_steps(batch, function, given, *args, **kwargs)

        return _for_each(method, steps)  # type: ignore[no-any-return]

    return decorate


def finish_class(cls: type) -> None:
    """Put what belongs to decorated methods beside them: `_name_` and `name_async`."""
    for name, method in list(vars(cls).items()):
        if type(method) not in (FunctionType, staticmethod, classmethod):
            continue
        if hasattr(method, "for_each"):
            # Methods travel by their name, and the decorated one has the name of this.
            function = getattr(method.for_each, "__func__", method.for_each)
            function.__name__, function.__qualname__ = f"_{name}_", f"{cls.__qualname__}._{name}_"
            setattr(cls, f"_{name}_", method.for_each)
        if hasattr(method, "twin"):
            setattr(cls, f"{name}_async", method.twin)
        elif hasattr(getattr(super(cls, cls), name, None), "twin"):
            both: Any = with_twin(functools.wraps(method)(steps_of(method)))
            setattr(cls, f"{name}_async", both.twin)


def _for_each(method: Any, steps: Callable[..., Steps]) -> Any:
    """A method that takes these steps, in which another one is called for each item."""
    both: Any = with_twin(steps)
    del both.__wrapped__  # that may be a coroutine function, and this one is none
    both.for_each = method
    return both


def _locked(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method behind the lock of this name, until it is done, also where it is awaited."""

    def lock(batch: Any) -> Any:
        return nullcontext() if batch.pipeline is None else batch.pipeline.lock(name)

    @functools.wraps(method)
    def locked(batch: Any, *args: Any, **kwargs: Any) -> Any:
        with lock(batch):  # in the thread that calls it, which a cancelled run leaves to finish
            return method(batch, *args, **kwargs)

    @functools.wraps(method)
    def steps(batch: Any, *args: Any, **kwargs: Any) -> Steps:
        with lock(batch):
            return (yield from steps_of(method)(batch, *args, **kwargs))

    is_async = inspect.iscoroutinefunction(method)
    if not (is_async or hasattr(method, "steps")):
        return locked
    both: Any = with_twin(steps)
    both.twin.steps = steps
    return both.twin if is_async else both  # type: ignore[no-any-return]


def _check_method(decorator: str, method: Any) -> None:
    if not (callable(method) or hasattr(method, "__func__")):
        raise ValueError(f"@{decorator} takes named arguments only, got {method!r}")
