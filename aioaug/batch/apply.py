"""A function applied to every item of a batch, and the results put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from .._base.signatures import accepts
from ..errors import ParallelError
from . import decorators
from .batch_random import BatchRandom
from .calls import Call, Task, Work
from .components import rows, stack
from .core import Core
from .decorators import action
from .driving import Steps, drive, drive_async
from .expressions import P, evaluate
from .inbatch import arguments, calls_with, check_limits, failures, find, first
from .targets import check_target

_OPTIONS = ("init", "post", "src", "dst", "p", "target", "requires_rng", "rng_seeds")


class Applying(Core):
    """`apply_parallel`, and what it is made of."""

    @action
    def apply_parallel(
        self,
        func: Callable[..., Any],
        init: Any = None,
        post: Any = None,
        src: Any = None,
        dst: Any = None,
        *args: Any,
        p: Any = None,
        target: str = "for",
        requires_rng: bool = False,
        rng_seeds: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Call `func(item, *args, **kwargs)` for every item and put the results into `dst`.

        The results come in the order of the items and do not depend on `target`. It blocks; from
        a coroutine await `apply_parallel_async`. For the same `random_seed` chance is the same.

        Args:
            func: gets one item, and `src`, `dst`, if it takes arguments of these names. It should
                return what it makes and leave the item as it is: with "mpc" it has a copy. A
                coroutine function is async on every target.
            init: the items. `None` and `"data"` are those of `src`. Otherwise the name of an
                attribute, such as "indices" or "items", or a container, or a callable that gets
                `src`, `dst`, `p`, `target` and `kwargs` and returns one. Each element is
                `((args), {kwargs})`, a dict, a list or tuple of arguments, or the argument.
            post: the name of a method, or a callable, that gets the list of results and `src`,
                `dst` and `kwargs`; what failed is an exception in that list. What it returns is
                returned. `None` is `_assemble`, which returns the batch.
            src: a component; a list of components, each done on its own, with the same choice of
                items and the same generators; a tuple, whose rows go into `func` as one tuple; or
                the items themselves.
            dst: as `src`, which it is by default; a tuple takes apart the tuples that `func`
                returns. Components that do not exist are added.
            p: the probability that an item is worked on; others go into `dst` as they are.
            target: "for", "threads", "mpc" (processes: what travels must pickle) or "async" (on
                an event loop), or the first letter.
            requires_rng: give each call a `numpy.random.Generator` of its own, `rng`.
            rng_seeds: the seeds of these generators, one for each item, or one for all.
            args, kwargs: for `func`; the values of a `P` are spread over the items. `n_workers`,
                at most how many calls run at once, and `timeout`, in seconds, are not for `func`.

        Raises:
            ParallelError: `func` failed for some items, whose exceptions are in its `errors`; it
                is raised from the first one. An item that is not done in time has `TimeoutError`.
            ValueError, TypeError: an argument is out of range or does not fit the others.
        """
        return drive(self._steps(func, args, _options(locals())))

    async def apply_parallel_async(
        self,
        func: Callable[..., Any],
        init: Any = None,
        post: Any = None,
        src: Any = None,
        dst: Any = None,
        *args: Any,
        p: Any = None,
        target: str = "for",
        requires_rng: bool = False,
        rng_seeds: Any = None,
        **kwargs: Any,
    ) -> Any:
        """`apply_parallel` for coroutines; "async" is on the running loop.

        The loop goes on meanwhile; with "for" it has its turn between the items. `init` and
        `post` are called in a thread. When it is cancelled, items that have not begun are
        dropped, coroutines are cancelled, the rest is abandoned, and the batch stays as it is,
        unless the results were being put into it already.
        """
        return await drive_async(self._steps(func, args, _options(locals())))

    def _steps(self, func: Any, args: Sequence[Any], options: dict[str, Any]) -> Steps:
        options = dict(options)
        own = {name: options.pop(name, None) for name in _OPTIONS}
        limits = check_limits(options.pop("n_workers", None), options.pop("timeout", None))
        target = check_target(own["target"] or self.apply_defaults.get("target", "for"))
        for name in ("init", "post"):
            if own[name] is None or own[name] is False:
                own[name] = self.apply_defaults.get(name)
        func, args, kwargs = evaluate((func, tuple(args), options), self)
        if not callable(func):
            raise TypeError(f"func must be callable, got {func!r}")
        seeds = evaluate(own["rng_seeds"], self)
        draws = ItemDraws.of(self, len(self), own["p"], own["requires_rng"], seeds)
        post = find(self, "post", own["post"] or "_assemble")
        root, path = self._next_path()
        result: Any = self
        pairs, several = self._pairs(own["src"], own["dst"], own["init"])
        for src, dst in pairs:
            given = {"src": src, "dst": dst}
            passed = {name: value for name, value in given.items() if accepts(func, name)}
            elements = self._elements(own["init"], target, draws, given, kwargs)
            task = Task(func, passed, root, path)
            made, passthrough = draws.over(calls_with(elements, args, kwargs))
            results = yield Work(task, made, passthrough, target, *limits, labels=self.indices)
            result = post(results, **given, **kwargs)
        return self if several else result

    def _pairs(self, src: Any, dst: Any, init: Any) -> tuple[Sequence[tuple[Any, Any]], bool]:
        """The sources and where their results go, and whether there may be several."""
        if src is None and _from_data(init):
            src = self.apply_defaults.get("src")
        if src is None and _from_data(init) and self.components is not None:
            src = list(self.components) if dst is None else self.components
        if not isinstance(src, list):
            return [(src, dst)], False
        if dst is None:
            dst = src
        if not isinstance(dst, list) or len(src) != len(dst):
            raise ValueError(f"src and dst must be lists of equal length, got {src} and {dst!r}")
        return list(zip(src, dst, strict=True)), True

    def _elements(
        self,
        init: Any,
        target: str,
        draws: ItemDraws,
        given: dict[str, Any],
        kwargs: dict[str, Any],
    ) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        if _from_data(init):
            return [((item,), {}) for item in self._items_of(given["src"])]
        if isinstance(init, str):
            init = getattr(self, init)
        if callable(init):
            init = init(**given, p=draws.chosen, target=target, **kwargs)
        return [arguments(element) for element in init]

    def _items_of(self, src: Any) -> Iterator[Any]:
        if isinstance(src, tuple):
            return zip(*(self._items_of(each) for each in src), strict=True)
        if src is None:
            return iter(self)
        if isinstance(src, str):
            name, src = src, self.get(component=src)
            if src is None:
                raise ValueError(f"component {name!r} holds no data")
        if hasattr(src, "iloc"):
            return (rows(src, position) for position in range(len(src)))
        return iter(src)

    def _assemble(self, results: Sequence[Any], *, src: Any, dst: Any, **kwargs: Any) -> Self:
        """Put results into components: one for each name of `dst`, or else of `src`."""
        if self.get_errors(results):
            errors = failures(results)
            raise ParallelError("Could not assemble the batch", errors) from first(results)
        dst = src if dst is None else dst
        if dst is None:
            return self._assemble_data(results)
        names = [dst] if isinstance(dst, str) else list(dst)
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError("dst must say where the results go: src names no components")
        if len(names) == 1:
            columns = [list(results)]
        else:
            for position, result in enumerate(results):
                if not isinstance(result, tuple | list) or len(result) != len(names):
                    raise ValueError(f"func returned no {len(names)} values for item {position}")
            columns = [[result[n] for result in results] for n in range(len(names))]
        self._fill(
            {
                name: self._assemble_component(column, component=name, src=src)
                for name, column in zip(names, columns, strict=True)
            }
        )
        return self

    def _assemble_data(self, results: Sequence[Any]) -> Self:
        if self.components is None and self.data is not None:
            self.data_setter = stack(results)
        elif any(result is not None for result in results):
            raise ValueError("dst must say where the results go, since there is no src")
        return self

    def _assemble_component(self, column: Sequence[Any], *, component: str, src: Any) -> Any:
        """The column of a component made of one result for each item: (N,...), or objects (N,)."""
        if column:
            return stack(column)
        before = self.data if self.components is None else getattr(self.data, component, None)
        if before is None and isinstance(src, str):
            before = getattr(self, src)
        return stack(column) if before is None else before[:0]

    def get_errors(self, all_res: Sequence[Any]) -> list[Exception] | None:
        """The exceptions among the results of a parallel call, `None` if there are none."""
        return [result for result in all_res if isinstance(result, Exception)] or None

    def run_once(self, *args: Any, **kwargs: Any) -> list[list[Any]]:
        """An `init` for one call without arguments, after the data was loaded."""
        self._load_pending()
        return [[]]

    @action
    def do_nothing(self, *args: Any, **kwargs: Any) -> Self:
        """Return the batch as it is."""
        return self

    @decorators.apply_parallel
    def to_array(
        self, comp: Any, dtype: Any = "float32", channels: str | None = "last", **kwargs: Any
    ) -> Any:
        """Make an item an array of this dtype; called with `src` and `dst`, as any such method.

        Pictures (H,W) get an axis for channels, "last" or "first", or none. Those with channels
        (H,W,C) become (C,H,W) with "first". `dtype=None` leaves the dtype.
        """
        import numpy as np

        if channels not in (None, "first", "last"):
            raise ValueError(f"channels must be None, 'first' or 'last', got {channels!r}")
        array = np.array(comp)
        if array.ndim == 2 and channels is not None:
            array = array[np.newaxis] if channels == "first" else array[..., np.newaxis]
        elif array.ndim > 2 and channels == "first":
            array = np.moveaxis(array, -1, 0)
        return array if dtype is None else array.astype(dtype)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, as `_steps` takes them, out of a method's own."""
    return {**{name: given[name] for name in _OPTIONS}, **given["kwargs"]}


def _from_data(init: Any) -> bool:
    return init is None or init is False or (isinstance(init, str) and init == "data")


@dataclass
class ItemDraws:
    """What is drawn for the items of one call: the same for every pair of `src` and `dst`."""

    chosen: Any  # whether the function is applied to an item; None is to all
    seeds: Any  # of the items' generators; None without

    @classmethod
    def of(cls, batch: BatchRandom, size: int, p: Any, requires_rng: bool, seeds: Any) -> Self:
        """Draw for every item of the batch, the choice first."""
        if isinstance(p, float) or (p is not None and not isinstance(p, P | int)):
            p = float(p)
            if not 0 <= p <= 1:
                raise ValueError(f"p must be from 0 to 1, got {p}")
            p = P(batch.random.binomial(1, p, size=size))
        elif p not in (None, 0, 1) and not isinstance(p, P):
            raise ValueError(f"p must be from 0 to 1, got {p}")
        if seeds is None and requires_rng:
            seeds = batch.random.integers(0, 2**63 - 1, size=size)
        return cls(p, seeds.values if isinstance(seeds, P) else seeds)

    def over(self, calls: Sequence[Call]) -> tuple[list[Call], dict[int, Any]]:
        """The calls to be made, and by position the items that pass as they are.

        Raises `ValueError` if something was drawn or given for fewer items.
        """
        count = len(calls)
        given: tuple[tuple[str, Any], ...] = (
            ("p", getattr(self.chosen, "values", None)),
            ("rng_seeds", self.seeds),
        )
        for name, values in given:
            if hasattr(values, "__len__") and len(values) < count:
                raise ValueError(f"{name} has {len(values)} values for {count} items")
        made, passthrough = [], {}
        for call in calls:
            if self._applied(call.position):
                made.append(replace(call, seed=self._seed(call.position)))
            else:
                passthrough[call.position] = call.args[0] if call.args else None
        return made, passthrough

    def _applied(self, position: int) -> bool:
        if isinstance(self.chosen, P):
            return bool(self.chosen.values[position])
        return self.chosen is None or bool(self.chosen)

    def _seed(self, position: int) -> int | None:
        if self.seeds is None:
            return None
        return int(self.seeds[position] if hasattr(self.seeds, "__len__") else self.seeds)
