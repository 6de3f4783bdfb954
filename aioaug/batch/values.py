"""What batches and items have of their own: random numbers, and values worked out for each."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.random import Generator, SeedSequence


def make_rng(seed: Any = None) -> Generator:
    """A generator for a seed: an int, a `SeedSequence`, or a generator, which passes as it is.

    `None` takes entropy of the system. The numbers are those of `SFC64(seed)`.
    """
    import numpy as np

    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, np.random.BitGenerator):
        return np.random.Generator(seed)
    return np.random.Generator(np.random.SFC64(seed_sequence(seed)))


def seed_sequence(seed: Any = None) -> SeedSequence:
    """The `SeedSequence` of a seed: an int, a `SeedSequence`, a generator, or `None` for a new one.

    A `RandomState` is drawn from, so each time it gives another one.

    Raises `TypeError` for anything else, and `ValueError` for a negative number.
    """
    import numpy as np

    seed = seed.bit_generator if isinstance(seed, np.random.Generator) else seed
    if isinstance(seed, np.random.RandomState):
        return np.random.SeedSequence(seed.randint(2**32, size=4, dtype=np.uint32).tolist())
    if isinstance(seed, np.random.BitGenerator):
        origin = seed.seed_seq  # of another kind where it was made of words of its own
        seed = origin if isinstance(origin, np.random.SeedSequence) else None
    if seed is None or isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence() if seed is None else seed
    try:
        number = operator.index(seed)
    except TypeError:
        kinds = "an int, a SeedSequence or a Generator"
        raise TypeError(f"a seed must be {kinds}, got {seed!r}") from None
    if number < 0:
        raise ValueError(f"a seed must not be negative, got {number}")
    return np.random.SeedSequence(number)


Key = tuple[Any, tuple[int, ...]]


def key_of(seed: SeedSequence) -> Key:
    """What two seeds have in common if their numbers are the same."""
    return seed.entropy, tuple(seed.spawn_key)


def seed_at(root: Key, path: tuple[int, ...]) -> SeedSequence:
    """The seed that belongs to a path below the seed of this key."""
    import numpy as np

    return np.random.SeedSequence(root[0], spawn_key=root[1] + path)


class ItemRandom:
    """What `batch.random` is while one item is worked on: a stream of the item's own.

    It depends on `root`, the key of the batch's seed, and `path`, the number of the call and the
    position of the item, so not on who does the work, nor on when.
    """

    def __init__(self, root: Key, path: tuple[int, ...]) -> None:
        self.root = root
        self.path = path
        self._generator: Generator | None = None
        self._calls = 0

    @property
    def generator(self) -> Generator:
        """The item's generator, made when it is first asked for."""
        if self._generator is None:
            self._generator = make_rng(seed_at(self.root, self.path))
        return self._generator

    def next_path(self) -> tuple[int, ...]:
        """The path of a call that the item's own function makes."""
        self._calls += 1
        return (*self.path, self._calls - 1)


# The item that this thread, task or worker works on.
ITEM: ContextVar[ItemRandom | None] = ContextVar("aioaug-item", default=None)


class BatchRandom:
    """A batch's seed and generator, made when they are first asked for, and its calls' numbers.

    What several threads ask for at once is made in one step, so that they all get the same.
    """

    _seed: SeedSequence | None
    _generator: Generator | None

    def __init__(self, seed: Any = None) -> None:
        if seed is not None:
            self._seed, self._generator = seed_sequence(seed), make_rng(seed)
        self._calls = iter(range(sys.maxsize))

    @property
    def seed(self) -> SeedSequence:
        """What all random numbers depend on."""
        found: SeedSequence = self._once("_seed", seed_sequence)
        return found

    @property
    def generator(self) -> Generator:
        """The item's generator while one of this batch is worked on, otherwise the batch's."""
        item = self._item()
        if item is not None:
            return item.generator
        found: Generator = self._once("_generator", lambda: make_rng(self.seed))
        return found

    def next_path(self) -> tuple[Key, tuple[int, ...]]:
        """The key of the seed, and the path of a call that works on items."""
        item = self._item()
        if item is not None:
            return item.root, item.next_path()
        return key_of(self.seed), (next(self._calls),)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        own = vars(self)
        return own[name] if name in own else own.setdefault(name, make())

    def _item(self) -> ItemRandom | None:
        item, seed = ITEM.get(), vars(self).get("_seed")
        return item if item and (seed is None or key_of(seed) == item.root) else None


class Expression:
    """Something that has another value for each batch; arithmetic with it makes another one."""

    __iter__ = None  # with items, Python would take it for an endless sequence
    __array_ufunc__ = None  # an array on the left would do it for each element

    def get(self, batch: Any, size: int | None = None) -> Any:
        """The value for `batch`; with `size`, that many of them."""
        raise NotImplementedError


class _Computed(Expression):
    """What a function returns for arguments, some of which may be expressions."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._call = function, args, kwargs

    def get(self, batch: Any, size: int | None = None) -> Any:
        function, args, kwargs = evaluate(self._call, batch)
        return function(*args, **kwargs)


def F(function: Callable[..., Any]) -> Callable[..., Any]:
    """`F(function)(*args, **kwargs)` is what the function returns for each batch.

    Example::

        pipeline.scale(factor=F(len)(B.indices) / 2)
    """
    return partial(_Computed, function)


def _arithmetic(name: str) -> None:
    """Have an operator make an expression of its operands, with the expression on either side."""
    operation = getattr(operator, name)
    setattr(Expression, f"__{name}__", lambda *operands: _Computed(operation, *operands))
    if name in _ON_BOTH_SIDES:
        setattr(Expression, f"__r{name}__", lambda self, other: _Computed(operation, other, self))


_ON_BOTH_SIDES = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
for _name in (*_ON_BOTH_SIDES, "neg", "abs", "getitem"):
    _arithmetic(_name)


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

    def __call__(self, *args: Any, **kwargs: Any) -> Expression:
        """Of `B` itself an attribute by its name; of an attribute what its call returns."""
        return _Of(*args) if self._name is None else _Computed(_called, self, *args, **kwargs)

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


def _called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


B = _Of()
"""The batch at work: `B.images` or `B("images")` is an attribute of it, `B()` is itself.

`B.images[0]`, `B.scale * 2 + 1` and `B.method(argument)` are what that gives for each batch.
"""


def evaluate(value: Any, batch: Any) -> Any:
    """`value` with every expression in it worked out, those in lists, tuples and dicts, too.

    Where there is none, it is the same object: what an action appends to a list is there later.
    """
    if isinstance(value, Expression):
        return value.get(batch)
    if type(value) not in (list, tuple, dict):
        return value
    before = list(value.values() if type(value) is dict else value)
    after = [evaluate(each, batch) for each in before]
    if all(one is other for one, other in zip(after, before, strict=True)):
        return value
    return dict(zip(value, after, strict=True)) if type(value) is dict else type(value)(after)


def draw(batch: Any, p: Any, requires_rng: bool, seeds: Any) -> tuple[Any, Any]:
    """Which items are worked on, and the seeds of their generators; both may be for all alike.

    It is the same for every pair of `src` and `dst` of a call, so it is drawn once, before them.
    """
    if not (p is None or isinstance(p, P)):
        if not 0 <= p <= 1:
            raise ValueError(f"p must be from 0 to 1, got {p}")
        if not isinstance(p, int):
            p = P(batch.random.binomial(1, float(p), size=len(batch)))
    if seeds is None and requires_rng:
        seeds = batch.random.integers(0, 2**63 - 1, size=len(batch))
    return p, seeds


def of_items(name: str, value: Any, count: int) -> Sequence[Any]:
    """The value for each item out of a `P`, a sequence, or one value for all; none may lack one."""
    values = value.values if isinstance(value, P) else value
    if not hasattr(values, "__len__"):
        return [values] * count
    if len(values) < count:
        raise ValueError(f"{name} has {len(values)} values for {count} items")
    return values  # type: ignore[no-any-return]
