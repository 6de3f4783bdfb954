"""Values that are worked out for each batch, or for each of its items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .rng import make_rng


class Expression:
    """Something that has another value for each batch."""

    def get(self, batch: Any, size: int | None = None) -> Any:
        """The value for `batch`; with `size`, that many of them."""
        raise NotImplementedError


class R(Expression):
    """A random value: a distribution's name and its parameters, or things to choose from.

    Names are those of the methods of `numpy.random.Generator`. `size` is the shape of one value.
    Without `seed`, values come from the batch's own generator.

    Example::

        batch.apply_parallel(rotate, src="images", angle=P(R("uniform", -20, 20)))
    """

    def __init__(
        self, name: Any, *args: Any, seed: Any = None, size: Any = None, **kwargs: Any
    ) -> None:
        if size is not None and not isinstance(size, int | tuple | Expression):
            raise TypeError(f"size must be an int or a tuple of ints, got {size!r}")
        if not isinstance(name, str):
            name, args = "choice", (name, *args)
        self._name, self._args, self._kwargs, self._size = name, args, kwargs, size
        self._own = None if seed is None else make_rng(seed)
        if not callable(getattr(make_rng(0), name, None)):
            raise ValueError(f"numpy.random.Generator has no distribution {name!r}")

    def get(self, batch: Any, size: int | None = None) -> Any:
        """The value for `batch`; with `size`, an array of that many values."""
        rng = batch.random if self._own is None else self._own
        args, kwargs, shape = evaluate((self._args, self._kwargs, self._size), batch)
        shapes = [] if size is None else [size]
        shapes += [] if shape is None else [*(shape if isinstance(shape, tuple) else (shape,))]
        return getattr(rng, self._name)(*args, **kwargs, size=tuple(shapes) or None)

    def __repr__(self) -> str:
        return f"R({self._name!r}, ...)"


class P(Expression):
    """Another value for each item: the elements of a sequence, or of what an expression gives.

    The number of values must be that of the items.

    Example::

        batch.apply_parallel(scale, src="images", factor=P([1, 10, 100, 1000]))
    """

    def __init__(self, values: Any) -> None:
        self.values = values

    def get(self, batch: Any, size: int | None = None) -> P:
        """The same with its values worked out."""
        if isinstance(self.values, R):
            return P(self.values.get(batch, len(batch)))
        return P(evaluate(self.values, batch))

    def spread(self, name: str, count: int) -> Any:
        """The values; `ValueError` unless there is one for each of `count` items."""
        try:
            found = len(self.values)
        except TypeError:
            raise TypeError(f"{name}: P needs a sequence, got {self.values!r}") from None
        if found != count:
            raise ValueError(f"{name}: P has {found} values for {count} items")
        return self.values

    def __repr__(self) -> str:
        return f"P({self.values!r})"


class _Of(Expression):
    """The batch itself, or an attribute of it."""

    def __init__(self, name: str | None = None) -> None:
        self._name = name

    def __call__(self, name: str | None = None) -> _Of:
        return _Of(name)

    def __getattr__(self, name: str) -> _Of:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Of(name if self._name is None else f"{self._name}.{name}")

    def get(self, batch: Any, size: int | None = None) -> Any:
        for name in self._name.split(".") if self._name else ():
            batch = getattr(batch, name)
        return batch

    def __repr__(self) -> str:
        return f"B.{self._name}" if self._name else "B()"


B = _Of()
"""The batch at work: `B.images` or `B("images")` is an attribute of it, `B()` is itself."""


def evaluate(value: Any, batch: Any) -> Any:
    """`value` with every expression in it worked out, those in lists, tuples and dicts, too.

    Where there is none, it is the same object: what an action appends to a list is there later.
    """
    if isinstance(value, Expression):
        return value.get(batch)
    if type(value) in (list, tuple):
        found = [evaluate(each, batch) for each in value]
        return value if _all_same(found, value) else type(value)(found)
    if type(value) is dict:
        found = [evaluate(each, batch) for each in value.values()]
        same = _all_same(found, value.values())
        return value if same else dict(zip(value, found, strict=True))
    return value


def _all_same(found: Iterable[Any], before: Iterable[Any]) -> bool:
    return all(one is other for one, other in zip(found, before, strict=True))
