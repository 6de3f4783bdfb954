"""Parameters of augmenters as data: from JSON to what imgaug takes, to source, and back.

JSON holds numbers, booleans, strings and null as they are. A list is a list, which imgaug chooses
from. What else Python has is an object with one key that says what it is:

    {"tuple": [-10, 10]}                                            a range, for most parameters
    {"dict": {"x": 0.1, "y": {"tuple": [0, 1]}}}
    {"parameter": "Normal", "arguments": {"loc": 0, "scale": 1}}    a class of imgaug.parameters
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from .._base.signatures import parameters_of

MOST_ITEMS = 64
DEEPEST = 6
LARGEST = 1e6
_KEYS = frozenset(("x", "y", "height", "width", "longer-side", "shorter-side"))
# The class of all of them, which draws nothing itself.
_NO_PARAMETERS = frozenset(("StochasticParameter",))
_LONGEST_STRING = 64

Allowed = Callable[[str], bool]


class Undescribable(Exception):
    """An object for which there is no data."""


@cache
def parameter_classes() -> dict[str, type]:
    """The classes of `imgaug.parameters` by their names."""
    from imgaug import parameters

    base = parameters.StochasticParameter
    return {
        name: found
        for name, found in sorted(vars(parameters).items())
        if inspect.isclass(found) and issubclass(found, base) and name not in _NO_PARAMETERS
    }


def check_value(value: Any, allowed: Allowed, where: str, depth: int = 0) -> None:
    """Raise `ValueError` unless `value` is data as above, its strings among those allowed."""
    if depth > DEEPEST:
        raise ValueError(f"{where} is nested more than {DEEPEST} levels deep; take fewer")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, (int, float)):
        if not math.isfinite(value) or abs(value) > LARGEST:
            raise ValueError(f"{where} must be a number up to {LARGEST:g}, got {value!r}")
    elif isinstance(value, str):
        if not allowed(value):
            shown = value[:_LONGEST_STRING]
            raise ValueError(f"{where} does not take {shown!r}; choose one that the list has")
    elif isinstance(value, list):
        for item in _few(value, where):
            check_value(item, allowed, where, depth + 1)
    else:
        _check_object(value, allowed, where, depth)


def _check_object(value: Any, allowed: Allowed, where: str, depth: int) -> None:
    match value:
        case {"tuple": list(items), **rest} if not rest:
            for item in _few(items, where):
                check_value(item, allowed, where, depth + 1)
        case {"dict": dict(items), **rest} if not rest:
            for key, item in items.items():
                if key not in _KEYS:
                    known = ", ".join(sorted(_KEYS))
                    raise ValueError(f"{where} has a key {key[:_LONGEST_STRING]!r}; use {known}")
                check_value(item, allowed, where, depth + 1)
        case {"parameter": str(name), "arguments": dict(arguments), **rest} if not rest:
            if name not in parameter_classes():
                raise ValueError(f"{where}: imgaug has no parameter {name[:_LONGEST_STRING]!r}")
            signature = parameters_of(parameter_classes()[name]) or {}
            for key, item in arguments.items():
                if key not in signature:
                    raise ValueError(f"{where}: {name} has no argument {key[:_LONGEST_STRING]!r}")
                check_value(item, _string_of_parameters, where, depth + 1)
        case _:
            raise ValueError(
                f"{where} must be a number, text, a list, or an object of tuple, dict or "
                f"parameter, got {type(value).__name__}"
            )


def python_value(value: Any) -> Any:
    """What imgaug takes, of a value that was checked."""
    match value:
        case list():
            return [python_value(item) for item in value]
        case {"tuple": items}:
            return tuple(python_value(item) for item in items)
        case {"dict": items}:
            return {key: python_value(item) for key, item in items.items()}
        case {"parameter": name, "arguments": arguments}:
            made = {key: python_value(item) for key, item in arguments.items()}
            return parameter_classes()[name](**made)
        case _:
            return value


def source_of(value: Any) -> str:
    """A Python expression for a value that was checked; it needs `iap`, `imgaug.parameters`."""
    match value:
        case list():
            return f"[{', '.join(map(source_of, value))}]"
        case {"tuple": [only]}:
            return f"({source_of(only)},)"
        case {"tuple": items}:
            return f"({', '.join(map(source_of, items))})"
        case {"dict": items}:
            return f"{{{', '.join(f'{k!r}: {source_of(v)}' for k, v in items.items())}}}"
        case {"parameter": name, "arguments": arguments}:
            inner = ", ".join(f"{key}={source_of(item)}" for key, item in arguments.items())
            return f"iap.{name}({inner})"
        case _:
            return repr(value)


def data_of(value: Any, arguments_of: Callable[[Any], Mapping[str, Any] | None]) -> Any:
    """The data for an argument; `arguments_of` tells how a parameter of imgaug was built.

    Raises `Undescribable`.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [data_of(item, arguments_of) for item in value]
    if type(value) is tuple:
        return {"tuple": [data_of(item, arguments_of) for item in value]}
    if type(value) is dict:
        return {"dict": {key: data_of(item, arguments_of) for key, item in value.items()}}
    name = type(value).__name__
    arguments = arguments_of(value)
    if arguments is None or parameter_classes().get(name) is not type(value):
        raise Undescribable(f"there is no data for {value!r}")
    inner = {key: data_of(item, arguments_of) for key, item in arguments.items()}
    return {"parameter": name, "arguments": inner}


def _few(items: list[Any], where: str) -> list[Any]:
    if not items or len(items) > MOST_ITEMS:
        raise ValueError(f"{where} must have 1 to {MOST_ITEMS} values, got {len(items)}")
    return items


def _string_of_parameters(text: str) -> bool:
    return text in ("invert", "reroll", "min", "max", "avg", "nearest", "linear", "cubic")
