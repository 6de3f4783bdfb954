"""Decorators for the methods of batches.

A method that works in parallel has a twin to be awaited: `rotate` and `rotate_async`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from types import FunctionType
from typing import Any, TypeVar, overload

from .calls import UnboundCall
from .driving import Steps, drive, drive_async
from .inbatch import steps_of
from .targets import check_target

F = TypeVar("F", bound=Callable[..., Any])


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
        return _bare("action", action, args, use_lock is not None or no_eval is not None)
    skipped = [no_eval] if isinstance(no_eval, str) else list(no_eval or ())

    def mark(method: F) -> F:
        marked: Any = method
        if use_lock:
            name = use_lock if isinstance(use_lock, str) else method.__qualname__
            marked = _locked(method, name)
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
        return _bare("apply_parallel", apply_parallel, args, bool(kwargs))

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

    def decorate(method: F) -> F:
        parent = method.__qualname__.rpartition(".")[0]
        bound = bool(parent) and not parent.endswith("<locals>") if _use_self is None else _use_self
        given = {"init": init, "post": post, "target": target, "debug": debug, "extra": extra}

        def steps(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
            batch, rest = (args[0], args[1:]) if bound else (None, args)
            return steps_of(
                batch, UnboundCall(method, *args[:1] if bound else ()), given, rest, kwargs
            )

        return _both(method, steps)  # type: ignore[no-any-return]

    return decorate


def finish_class(cls: type) -> None:
    """Put what the decorators have marked into effect."""
    for name, method in list(vars(cls).items()):
        marks = getattr(method, "apply_kwargs", None)
        if marks is not None:
            method = _spread(cls, name, method, marks)
            setattr(cls, name, method)
        if isinstance(method, FunctionType) and hasattr(method, "twin"):
            setattr(cls, f"{name}_async", method.twin)


def _spread(cls: type, name: str, method: Any, marks: dict[str, Any]) -> Any:
    function = getattr(method, "__func__", method)  # of a static or a class method

    def steps(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Steps:
        batch, *rest = args
        options = {**batch.apply_defaults, **marks, **kwargs}
        found: Steps = batch._steps(method.__get__(batch, type(batch)), tuple(rest), options)
        return found

    both = _both(function, steps)
    for key in ("apply_kwargs", "__wrapped__"):
        vars(both).pop(key, None)
    # Bound methods travel by their name.
    function.__name__ = f"_{name}_"
    function.__qualname__ = f"{cls.__qualname__}._{name}_"
    setattr(cls, f"_{name}_", method)
    return action(both)


def _both(method: Callable[..., Any], steps: Callable[..., Steps]) -> Any:
    """A function that takes steps, with a twin that awaits them."""

    @functools.wraps(method)
    def blocking(*args: Any, **kwargs: Any) -> Any:
        return drive(steps(args, kwargs))

    async def twin(*args: Any, **kwargs: Any) -> Any:
        return await drive_async(steps(args, kwargs))

    twin.__name__, twin.__doc__ = f"{method.__name__}_async", method.__doc__
    twin.__qualname__, twin.__module__ = f"{method.__qualname__}_async", method.__module__
    both: Any = blocking
    both.twin = twin
    return both


def _locked(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(self: Any, *args: Any, **kwargs: Any) -> Any:
        with nullcontext() if self.pipeline is None else self.pipeline.lock(name):
            return method(self, *args, **kwargs)

    return locked


def _bare(name: str, decorator: Any, args: Iterable[Any], named: bool) -> Any:
    method, *more = args
    if more or named or not (callable(method) or hasattr(method, "__func__")):
        raise ValueError(f"@{name} takes named arguments only, got {args!r}")
    return decorator()(method)
