"""All augmenters of imgaug that can be described as data, and their parameters."""

from __future__ import annotations

import importlib.util
import inspect
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from . import limits
from .values import LARGEST, Undescribable, check_value, data_of

_MODULES = ("pillike", "imgcorruptlike")
_patching = threading.Lock()
_WHOLE = frozenset(("handle_discrete_param", "handle_discrete_kernel_size_param"))


@dataclass(frozen=True)
class ParameterKind:
    """A parameter of an augmenter: what it is by default, and what a slider for it may say.

    `start` is what it begins with when it is switched on, or what it must begin with. `least` and
    `most` are what is taken at all, `low` and `high` where sliders end.
    """

    name: str
    default: Any
    start: Any
    required: bool
    low: float
    high: float
    whole: bool
    options: tuple[str, ...]
    least: float
    most: float

    def check(self, value: Any, where: str) -> None:
        """Raise `ValueError` unless this is data that the parameter may be given."""
        check_value(value, self.options.__contains__, where)
        for number in _numbers(value):
            if not self.least <= number <= self.most:
                raise ValueError(
                    f"{where} must be from {self.least:g} to {self.most:g}, got {number:g}"
                )


@dataclass(frozen=True)
class AugmenterKind:
    """A class of imgaug's: its name, the module it is of, and what it takes."""

    name: str
    group: str
    summary: str
    parameters: tuple[ParameterKind, ...]
    children: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What the page gets."""
        return asdict(self)


@cache
def augmenter_classes() -> dict[str, type]:
    """The classes that can be made from data, by their names below `imgaug.augmenters`."""
    import imgaug.augmenters as iaa
    from imgaug.augmenters.meta import Augmenter

    places: list[tuple[str, Any]] = [("", iaa)]
    places += [(f"{name}.", getattr(iaa, name)) for name in _MODULES if _is_usable(name)]
    found: dict[str, type] = {}
    for prefix, module in places:
        for name, thing in sorted(vars(module).items()):
            if not inspect.isclass(thing) or not issubclass(thing, Augmenter):
                continue
            inside = not prefix or thing.__module__ == module.__name__
            if inside and not name.startswith("_") and name not in limits.LEFT_OUT:
                found[f"{prefix}{name}"] = thing
    return found


@cache
def class_names() -> dict[type, str]:
    """The names of the same classes."""
    return {thing: name for name, thing in augmenter_classes().items()}


@cache
def catalog() -> dict[str, AugmenterKind]:
    """All kinds of augmenters. The first call builds one of each, so it takes a moment."""
    return {name: _kind(name, thing) for name, thing in augmenter_classes().items()}


def _kind(name: str, thing: type) -> AugmenterKind:
    last = name.rpartition(".")[2]
    taken = {
        key: parameter
        for key, parameter in inspect.signature(thing).parameters.items()
        if key not in limits.NOT_SHOWN
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    children = tuple(key for key in taken if key in limits.CHILDREN)
    starts = {key: _start(last, key, each) for key, each in taken.items() if key not in children}
    ranges = _ranges_of(thing, taken, starts, children)
    parameters = tuple(_parameter(last, taken[key], starts[key], ranges.get(key)) for key in starts)
    group = name.partition(".")[0] if "." in name else thing.__module__.rpartition(".")[2]
    summary = (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("``", "").split()
    return AugmenterKind(name, group, " ".join(summary), parameters, children)


def _start(class_name: str, key: str, parameter: inspect.Parameter) -> Any:
    with suppress(Undescribable):
        if parameter.default not in (parameter.empty, None):
            return data_of(parameter.default, lambda _: None)
    return limits.named(limits.STARTS, class_name, key)


def _parameter(
    class_name: str,
    parameter: inspect.Parameter,
    start: Any,
    checked: tuple[float | None, float | None, bool] | None,
) -> ParameterKind:
    key = parameter.name
    required = parameter.default is parameter.empty
    default = None if required or parameter.default is None else start
    least, most, whole = checked or (None, None, False)
    numbers = [abs(number) for number in _numbers(start)]
    largest = max(numbers, default=1.0)
    told = limits.named(limits.RANGES, class_name, key)
    negative = any(number < 0 for number in _numbers(start))
    low, high = told or (-2 * largest if negative else 0.0, max(1.0, 2 * largest))
    cap = limits.named(limits.MOST, class_name, key) or LARGEST
    low = max(low, -cap if least is None else least)
    high = min(high, cap if most is None else most)
    options = limits.named(limits.OPTIONS, class_name, key) or ()
    return ParameterKind(
        name=key,
        default=default,
        start=start,
        required=required,
        low=low,
        high=max(low, high),
        whole=whole or key in limits.WHOLE,
        options=options,
        least=-cap if least is None else max(least, -cap),
        most=cap if most is None else min(most, cap),
    )


def _numbers(value: Any) -> Iterator[float]:
    """All numbers in a piece of data, but not those of a distribution's arguments."""
    match value:
        case bool():
            return
        case int() | float():
            yield value
        case list():
            for item in value:
                yield from _numbers(item)
        case {"tuple": items}:
            yield from _numbers(list(items))
        case {"dict": items}:
            yield from _numbers(list(items.values()))


def _ranges_of(
    thing: type, taken: dict[str, Any], starts: dict[str, Any], children: tuple[str, ...]
) -> dict[str, tuple[float | None, float | None, bool]]:
    """What imgaug checks of each parameter: the least and the most, and whether it is whole.

    One object is built, and the functions by which imgaug checks its arguments are listened to.
    """
    from .values import python_value

    arguments = {
        key: python_value(starts[key])
        for key in starts
        if taken[key].default in (taken[key].empty, None) and starts[key] is not None
    }
    arguments |= {key: [] for key in children}
    with _listening() as heard, warnings.catch_warnings(action="ignore"):
        for chosen in (arguments, {k: v for k, v in arguments.items() if _needed(taken[k])}):
            try:
                thing(**chosen)
            except Exception:  # some parameters exclude each other
                continue
    return {key: heard[key] for key in starts if key in heard}


def _needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty


@contextmanager
def _listening() -> Iterator[dict[str, tuple[float | None, float | None, bool]]]:
    """What imgaug's checks of parameters are told in this thread: by name, least, most, whole."""
    from imgaug import parameters as iap

    heard: dict[str, tuple[float | None, float | None, bool]] = {}
    thread = threading.get_ident()

    def noting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(original)

        def check(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == thread:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                least, most = bound.arguments.get("value_range") or (None, None)
                if name == "handle_probability_param":
                    least, most = 0.0, 1.0
                heard.setdefault(bound.arguments["name"], (least, most, name in _WHOLE))
            return original(*args, **kwargs)

        return check

    names = [*_WHOLE, "handle_continuous_param", "handle_probability_param"]
    with _patching:
        originals = {name: getattr(iap, name) for name in names}
        try:
            for name, original in originals.items():
                setattr(iap, name, noting(name, original))
            yield heard
        finally:
            for name, original in originals.items():
                setattr(iap, name, original)


def _is_usable(module: str) -> bool:
    if module != "imgcorruptlike":
        return True
    return importlib.util.find_spec("imagecorruptions") is not None
