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

FASTER: dict[type, type] = {}  # the exact form of a class of imgaug's
CLOSE: dict[type, type] = {}  # its close form; and that of its exact form


class Faster:
    """The part of a faster class that is ours. In the order of resolution, imgaug's comes next."""

    if TYPE_CHECKING:  # the rest is imgaug's

        def __getattr__(self, name: str) -> Any: ...

    def _as_imgaug(self, batch: Any, *rest: Any) -> Any:
        """What the next class does, for pictures that are not of the common kind."""
        return super()._augment_batch_(batch, *rest)  # type: ignore[misc]


def replaces(*classes: Any, close: bool = False) -> Callable[[Part], Part]:
    """Have objects of exactly these classes of imgaug become of a class with the decorated part.

    With `close` their results may differ by a grey level, and the next class in the order of
    resolution is the exact form, if there is one.
    """

    def register(part: Part) -> Part:
        for imgaugs in classes:
            base = FASTER.get(imgaugs, imgaugs) if close else imgaugs
            # It has imgaug's name, because imgaug writes that into messages. Pickle needs the
            # qualified one, and there are two classes `Solarize`.
            attribute = f"{imgaugs.__module__.rpartition('.')[2]}_{imgaugs.__name__}"
            names = {
                "__module__": part.__module__,
                "__qualname__": f"{part.__qualname__}.{attribute}",
                "__doc__": imgaugs.__doc__,
            }
            made = type(base)(imgaugs.__name__, (part, base), names)
            if close:
                CLOSE[imgaugs] = CLOSE[base] = made
            else:
                FASTER[imgaugs] = made
            setattr(part, attribute, made)
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
