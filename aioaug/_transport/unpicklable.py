"""Finds what in an object cannot be sent to a worker, for the error's message."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from .._base import pickling

_REMEDY = (
    "make it inside of the function that uses it, or give its owner a __getstate__ that leaves "
    "it out"
)
_DEEPEST = 40  # an object may hold itself


def describe(value: Any) -> str:
    """The rest of an error's message: where in `value` that is which cannot be pickled.

    Empty if it is `value` itself, or cannot be told.
    """
    try:
        return _describe(value)
    except Exception:  # objects may do anything when they are looked at
        return ""


def _describe(value: Any) -> str:
    path, owner, seen = "", value, {id(value)}
    for _ in range(_DEEPEST):
        found = next((part for part in _parts(value) if _is_to_blame(part[1], seen)), None)
        if found is None:
            break
        owner, (step, value) = value, found
        seen.add(id(value))
        path += step
    if not path:
        return ""
    what, whose = type(value).__qualname__, type(owner).__qualname__
    return f"; it is a {what} that a {whose} holds, at {path.lstrip('.')}; {_REMEDY}"


def _is_to_blame(value: Any, seen: set[int]) -> bool:
    if id(value) in seen:
        return False
    try:
        pickling.flatten(value, 0)
    except BaseException:
        return True
    return False


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, and how it is reached from there."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{place}]", item) for place, item in enumerate(value))
    if isinstance(value, FunctionType):
        used = inspect.getclosurevars(value)
        names = {**used.globals, **used.nonlocals}
        yield from ((f" -> {name}", item) for name, item in names.items())
        yield from ((f" -> {item!r}", item) for item in value.__defaults__ or ())
    elif isinstance(value, MethodType):
        yield ".__self__", value.__self__
        yield ".__func__", value.__func__
    elif isinstance(value, partial):
        yield from ((f".{name}", getattr(value, name)) for name in ("func", "args", "keywords"))
    elif not isinstance(value, type):
        held = getattr(value, "__dict__", {})
        slots = [name for base in type(value).__mro__ for name in getattr(base, "__slots__", ())]
        held = {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **held}
        yield from ((f".{name}", item) for name, item in held.items())
