"""Expressions: values that are worked out for each batch or item."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from .._base.arguments import one_of
from .._base.seeding import make_rng


class Expression:
    """What has another value for each batch; so have its attributes, items, calls and sums."""

    __iter__ = None  # with items, Python would take it for an endless sequence
    __array_ufunc__ = None  # an array on the left would do it for each element

    def get(self, batch: Any, size: int | None = None) -> Any:
        """The value for `batch`; with `size`, that many of them where they are random."""
        raise NotImplementedError

    def set(self, batch: Any, value: Any) -> None:
        """Give what it stands for another value; `TypeError` if that cannot be."""
        raise TypeError(f"{self!r} cannot be assigned to")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._computed(getattr, name)

    def __getitem__(self, key: Any) -> Any:
        return self._computed(operator.getitem, key)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._computed(operator.call, *args, **kwargs)

    def _computed(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return _Computed(function, self, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, vars(self).values()))})"


class _Computed(Expression):
    """What a function returns for arguments, some of which may be expressions."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._call = function, args, kwargs

    def get(self, batch: Any, size: int | None = None) -> Any:
        function, args, kwargs = evaluate(self._call, batch, size)
        return function(*args, **kwargs)

    def set(self, batch: Any, value: Any) -> None:
        self._setter(*evaluate(self._call[1], batch), value)

    @property
    def _setter(self) -> Callable[..., None]:
        """What assigns where the function finds."""
        for getter, setter in ((getattr, setattr), (operator.getitem, operator.setitem)):
            if self._call[0] is getter:
                return setter
        raise TypeError(f"{self!r} cannot be assigned to: it is no attribute and no item")


def _arithmetic(name: str) -> None:
    """Have an operator make an expression of its operands, with the expression on either side."""
    operation = getattr(operator, name)
    setattr(Expression, f"__{name}__", lambda *operands: _Computed(operation, *operands))
    setattr(Expression, f"__r{name}__", lambda self, other: _Computed(operation, other, self))


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "neg", "abs"):
    _arithmetic(_name)


class F(_Computed):
    """`F(function)(*args, **kwargs)` is what the function returns for each batch.

    The arguments may be expressions: `F(len)(B.indices) / 2`.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Expression:
        return _Computed(self._call[0], *args, **kwargs)


class R(Expression):
    """A random value: a distribution's name and its parameters, or things to choose from.

    Names are those of the methods of `numpy.random.Generator`. `size` is the shape of one value.
    Without `seed`, values come from the batch's own generator.
    """

    def __init__(
        self, name: Any, *args: Any, seed: Any = None, size: Any = None, **kwargs: Any
    ) -> None:
        if size is not None and not isinstance(size, int | tuple | Expression):
            raise TypeError(f"size must be an int or a tuple of ints, got {size!r}")
        if not isinstance(name, str):
            name, args = "choice", (name, *args)
        self._call = name, args, kwargs, size
        self._own = None if seed is None else make_rng(seed)
        if not callable(getattr(make_rng(0), name, None)):
            raise ValueError(f"numpy.random.Generator has no distribution {name!r}")

    def get(self, batch: Any, size: int | None = None) -> Any:
        rng = batch.random if self._own is None else self._own
        name, args, kwargs, shape = evaluate(self._call, batch)
        one = () if shape is None else shape if isinstance(shape, tuple) else (shape,)
        all_of_them = one if size is None else (size, *one)
        return getattr(rng, name)(*args, **kwargs, size=all_of_them or None)


class P(Expression):
    """Another value for each item: the elements of a sequence, or of what an expression gives.

    There must be as many values as items: `P([1, 10, 100])`, `P(R("uniform", -20, 20))`.
    """

    def __init__(self, values: Any) -> None:
        self.values = values

    def get(self, batch: Any, size: int | None = None) -> P:
        if isinstance(self.values, Expression):
            return P(self.values.get(batch, len(batch)))
        return P(evaluate(self.values, batch))


class PP(P):
    """Another value for each item: an expression that is worked out anew for each of them."""

    def get(self, batch: Any, size: int | None = None) -> P:
        return P([evaluate(self.values, batch) for _ in range(len(batch))])


class L(_Computed):
    """A component of objects: `L("boxes").area` is a list of the attribute of each.

    Items and calls are those of each object, too. In `Pipeline.update` each gets its own value.
    """

    def _computed(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> L:
        return L(function, self, *args, **kwargs)

    def get(self, batch: Any, size: int | None = None) -> Any:
        of, args, kwargs = evaluate(self._call, batch)
        if isinstance(of, str):
            return getattr(batch, of)
        return [of(each, *args[1:], **kwargs) for each in args[0]]

    def set(self, batch: Any, value: Any) -> None:
        of, args, _ = evaluate(self._call, batch)
        if isinstance(of, str):
            return setattr(batch, of, value)
        for each, one in zip(args[0], value, strict=True):
            self._setter(each, *args[1:], one)
        return None


class _Named(Expression):
    """What goes by a name in what `owner` gives, a key or an attribute; without a name, all of it.

    `mode` is how `set` does it: "w" writes, "a" appends, "e" extends and "u" updates what is there.
    `default` is the value where there is none.
    """

    def __init__(
        self, letter: str, owner: Any, name: Any = None, mode: str = "w", **default: Any
    ) -> None:
        self._letter, self._owner, self._name = letter, owner, name
        self._mode, self._default = one_of("mode", mode[:1], "waeu"), default

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Without a name yet, what has this name; otherwise what a call returns."""
        if self._name is None:
            return type(self)(self._letter, self._owner, *args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self._name is not None:
            return super().__getattr__(name)
        return self(name)

    def get(self, batch: Any, size: int | None = None) -> Any:
        owner, name = self._owner(batch), evaluate(self._name, batch)
        if name is None:
            return owner
        try:
            return owner[name] if isinstance(owner, dict) else getattr(owner, name)
        except (AttributeError, KeyError):
            if not self._default:
                raise
            return self._default["default"]

    def set(self, batch: Any, value: Any) -> None:
        owner, name = self._owner(batch), evaluate(self._name, batch)
        if name is None:
            return super().set(batch, value)
        there = None if self._mode == "w" else self.get(batch)
        if there is None:
            return (operator.setitem if isinstance(owner, dict) else setattr)(owner, name, value)
        mode = "u" if isinstance(there, dict | set) else self._mode
        getattr(there, {"a": "append", "e": "extend", "u": "update"}[mode])(value)
        return None

    def __repr__(self) -> str:
        return f"{self._letter}({'' if self._name is None else repr(self._name)})"


def outlives_batch(target: Expression | None) -> bool:
    """Whether an expression stands for something that is not of the batch alone."""
    if isinstance(target, _Computed):
        return outlives_batch(next(iter(target._call[1]), None))
    return isinstance(target, _Named) and target._letter != "B"


def _pipeline(batch: Any) -> Any:
    if batch.pipeline is None:
        raise ValueError("the batch is in no pipeline, of which a value was asked for")
    return batch.pipeline


B = _Named("B", lambda batch: batch)
"""The batch at work: `B.images` or `B("images")` is an attribute of it, `B()` is itself.

`B.images[0]`, `B.scale * 2 + 1` and `B.method(argument)` are what that gives for each batch.
"""

C = _Named("C", lambda batch: _pipeline(batch).config)
"""An option of the pipeline's `config`: `C.name`, or `C("name", default=1)`; `C()` is all of it."""

D = _Named("D", lambda batch: batch.dataset)
"""An attribute of the batch's dataset: `D.classes`; `D()` is the dataset."""


def I(name: Any = "current") -> Expression:  # noqa: E743
    """The number of the batch in its run, from 1; of "total", how many there will be.

    `I("ratio")` is the one by the other. Names may be shortened.
    """
    return _Computed(_place_in_run, B(), name)


def _place_in_run(batch: Any, name: str) -> Any:
    number, total = batch.iteration, batch.iterations
    values = {"current": number, "maximum": total, "total": total}
    if total is not None:
        values["ratio"] = number / total
    for known in values:
        if known.startswith(name):
            return values[known]
    raise ValueError(f"I({name!r}) is not known: {', '.join(values)} are here")


V = _Named("V", lambda batch: _pipeline(batch).variables)
"""A variable of the pipeline: `V.losses`, or `V("losses", mode="a")` to append to it."""


def evaluate(value: Any, batch: Any, size: int | None = None) -> Any:
    """`value` with every expression in it worked out, also those in lists, tuples and dicts."""
    if isinstance(value, Expression):
        return value.get(batch, size)
    if type(value) not in (list, tuple, dict):
        return value
    before = list(value.values() if type(value) is dict else value)
    after = [evaluate(each, batch, size) for each in before]
    if all(one is other for one, other in zip(after, before, strict=True)):
        return value  # what an action appends to a list has to be there later
    return dict(zip(value, after, strict=True)) if type(value) is dict else type(value)(after)


def draw(batch: Any, p: Any, requires_rng: bool, seeds: Any) -> tuple[Any, Any]:
    """Which items are worked on, and the seeds of their generators; both may be for all alike."""
    if not (p is None or isinstance(p, P)):
        if not 0 <= p <= 1:
            raise ValueError(f"p must be from 0 to 1, got {p}")
        if not isinstance(p, int):
            p = P(batch.random.binomial(1, float(p), size=len(batch)))
    if seeds is None and requires_rng:
        seeds = batch.random.integers(0, 2**63 - 1, size=len(batch))
    return p, P(seeds) if hasattr(seeds, "__len__") else seeds


def of_items(name: str, value: Any, count: int, *, more: bool = False) -> Sequence[Any]:
    """The value for each item: those of a `P`, one for each or, if that is allowed, more."""
    if not isinstance(value, P):
        return [value] * count
    if not hasattr(value.values, "__len__"):
        raise TypeError(f"{name}: P needs a sequence, got {value.values!r}")
    found = len(value.values)
    if found < count or (found > count and not more):
        raise ValueError(f"{name} has {found} values for {count} items")
    return value.values  # type: ignore[no-any-return]
