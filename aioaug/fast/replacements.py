"""Faster classes, and which of imgaug's they take the place of.

A faster class is a subclass of imgaug's, with another method for the work itself. So an object
becomes faster when its `__class__` is changed: what it holds stays, above all its parameters and
its generator.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

Part = TypeVar("Part", bound="type[Faster]")

FASTER: dict[type, type] = {}


class Faster:
    """The part of a faster class that is ours. In the order of resolution, imgaug's comes next."""

    if TYPE_CHECKING:  # the rest is imgaug's

        def __getattr__(self, name: str) -> Any: ...

    def _as_imgaug(self, batch: Any, *rest: Any) -> Any:
        """What imgaug does, for pictures that are not of the common kind."""
        return super()._augment_batch_(batch, *rest)  # type: ignore[misc]


def replaces(*classes: Any) -> Callable[[Part], Part]:
    """Have objects of exactly these classes of imgaug become of a class with the decorated part."""

    def register(part: Part) -> Part:
        for base in classes:
            # It has imgaug's name, because imgaug writes that into messages. Pickle needs the
            # qualified one, and there are two classes `Solarize`.
            attribute = f"{base.__module__.rpartition('.')[2]}_{base.__name__}"
            names = {
                "__module__": part.__module__,
                "__qualname__": f"{part.__qualname__}.{attribute}",
                "__doc__": base.__doc__,
            }
            FASTER[base] = type(base)(base.__name__, (part, base), names)
            setattr(part, attribute, FASTER[base])
        return part

    return register


def calling(function: Any, **others: Any) -> Any:
    """One of imgaug's functions or methods, with others in the place of some that it calls.

    Its own code goes on drawing the numbers, so they cannot come in another order.
    """
    return FunctionType(
        function.__code__,
        {**function.__globals__, **others},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
