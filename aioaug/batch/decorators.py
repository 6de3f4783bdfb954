"""Decorators for the methods of batches.

A method that works in parallel has a twin to be awaited: `rotate` and `rotate_async`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import operator
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ParamSpec, TypeVar, overload

from .applying import apply_steps, inbatch_steps
from .calls import Steps, check_target, drive, drive_async

F = TypeVar("F", bound=Callable[..., Any])
Arguments = ParamSpec("Arguments")


@overload
def action(method: F, /) -> F: ...


@overload
def action(*, use_lock: bool | str | None = None, no_eval: Any = None) -> Callable[[F], F]: ...


def action(*args: Any, use_lock: bool | str | None = None, no_eval: Any = None) -> Any:
    """Mark a method as an action, which pipelines can record; bare or with named arguments.

    Args:
        use_lock: let one batch at a time into the method, in a pipeline: all methods with a lock
            of the same name, or with `True` this one.
        no_eval: the name of an argument, or names, whose expressions the method works out itself.

    Example::

        @action(use_lock=True)
        def note(self, path): ...
    """
    if args:
        return _bare(action, args, {"use_lock": use_lock, "no_eval": no_eval})
    skipped = [no_eval] if isinstance(no_eval, str) else list(no_eval or ())

    def mark(method: F) -> F:
        marked: Any = method
        if use_lock:
            marked = _locked(method, use_lock if isinstance(use_lock, str) else method.__qualname__)
        marked.action = {"method": method, "use_lock": use_lock, "no_eval": skipped}
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

    def mark(method: F) -> F:
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
) -> Callable[[F], F]:
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

    def decorate(method: F) -> F:
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


def with_twin(steps: Callable[Arguments, Steps]) -> Callable[Arguments, Any]:
    """A function that takes these steps; as a method of a batch it has a twin that awaits them."""

    @functools.wraps(steps)
    def blocking(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
        return drive(steps(*args, **kwargs))

    async def twin(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
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


class UnboundCall:
    """A decorated method without its decorators, bound to a batch; it pickles by its name."""

    def __init__(self, method: Callable[..., Any], *bound: Any) -> None:
        self.__func__ = method
        self._bound = bound
        self.__self__ = bound[0] if bound else None
        self.__qualname__ = method.__qualname__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(*self._bound, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _find_unbound, (self.__func__.__module__, self.__func__.__qualname__, self._bound)


def _find_unbound(module: str, qualname: str, bound: tuple[Any, ...]) -> UnboundCall:
    found = operator.attrgetter(qualname)(importlib.import_module(module))
    return UnboundCall(inspect.unwrap(found), *bound)


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
