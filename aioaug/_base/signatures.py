"""Which arguments functions take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """The parameters of a function by name, or `None`: some callables of C do not tell."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None


def required(function: Callable[..., Any]) -> int:
    """How many positional arguments a function must be given; 1 for callables that do not tell."""
    parameters = parameters_of(function)
    if parameters is None:
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is one.empty for one in parameters.values())


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes a keyword argument of this name."""
    parameters = parameters_of(function) or {}
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return True
    return name in parameters and parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY
