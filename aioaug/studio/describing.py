"""From an augmenter to its tree.

imgaug's augmenters do not keep what they were built with. So whoever builds a pipeline that is to
be described does so while `noting_arguments` notes it. What was built from the description is then
compared with the original, part by part; where the two differ, as after a change by hand, the
augmenter is left as it is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FunctionType, MethodType
from typing import Any

from . import limits
from .catalog import augmenter_classes, catalog, class_names
from .trees import Node, all_augmenters, build
from .values import Undescribable, data_of, parameter_classes

# They differ between two augmenters that do the same.
_OWN = frozenset(("random_state", "name", "generator"))
_SEEDS = ("seed", "name", "random_state", "deterministic")


class NotedArguments:
    """What objects of imgaug's were built with."""

    def __init__(self) -> None:
        # The objects are kept, so that no other one can get the id of one that is gone.
        self._noted: dict[int, tuple[Any, Mapping[str, Any]]] = {}

    def add(self, made: Any, arguments: Mapping[str, Any]) -> None:
        """Note the arguments of an object."""
        self._noted[id(made)] = made, arguments

    def of(self, made: Any) -> Mapping[str, Any] | None:
        """The arguments of an object, or `None` if nobody saw how it was built."""
        return self._noted[id(made)][1] if id(made) in self._noted else None


@contextmanager
def noting_arguments() -> Iterator[NotedArguments]:
    """Note how augmenters and parameters of imgaug's are built, in the whole process."""
    noted = NotedArguments()
    classes = [*augmenter_classes().values(), *parameter_classes().values()]
    own = [(thing, vars(thing).get("__init__")) for thing in classes]
    try:
        for thing in classes:
            _replace(thing, _noting(thing, _init_of(thing), noted))
        yield noted
    finally:
        for thing, before in own:
            if before is None:
                delattr(thing, "__init__")
            else:
                _replace(thing, before)


def describe(pipeline: Any, name: str, noted: NotedArguments) -> Node:
    """The tree of a pipeline that the server knows by `name`."""
    return _Describer(pipeline, name, noted).node(pipeline)


class _Describer:
    def __init__(self, pipeline: Any, name: str, noted: NotedArguments) -> None:
        self._pipeline = pipeline
        self._name = name
        self._noted = noted
        self._places = {id(each): place for place, each in enumerate(all_augmenters(pipeline))}

    def node(self, augmenter: Any) -> Node:
        """The node of an augmenter, opaque where there is no other; `Undescribable` if neither."""
        with suppress(Undescribable, ValueError):
            node = self._described(augmenter)
            if alike(build(node, lambda _: self._pipeline), augmenter):
                return node
        if id(augmenter) not in self._places:
            raise Undescribable(f"{augmenter!r} cannot be found again in its pipeline")
        title = str(getattr(augmenter, "name", "") or "")
        kind = getattr(augmenter, "__qualname__", type(augmenter).__name__)
        shown = kind if not title or title.startswith("Unnamed") else f"{title} ({kind})"
        return {"given": self._name, "place": self._places[id(augmenter)], "title": shown}

    def _described(self, augmenter: Any) -> Node:
        kind = catalog().get(class_names().get(type(augmenter), ""))
        arguments = self._noted.of(augmenter)
        if kind is None or arguments is None:
            raise Undescribable(f"nothing is known of {type(augmenter).__name__}")
        known = {parameter.name: parameter for parameter in kind.parameters}
        node: Node = {"name": kind.name, "parameters": {}, "children": {}}
        for key, value in arguments.items():
            if key in kind.children:
                self._add_children(node, key, value)
            elif key in known:
                node["parameters"][key] = data_of(value, self._noted.of)
                known[key].check(node["parameters"][key], key)
            elif key not in limits.NOT_SHOWN or (key in _SEEDS and _is_set(key, value)):
                raise Undescribable(f"{key} of {kind.name} is no data")
        return node

    def _add_children(self, node: Node, key: str, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, (list, tuple)) and self._noted.of(value) is None:
            node["children"][key] = [self.node(child) for child in value]
        else:
            node["children"][key] = [self.node(value)]
            node["alone"] = [*node.get("alone", ()), key]


def alike(one: Any, other: Any, seen: set[tuple[int, int]] | None = None) -> bool:
    """Whether two objects consist of the same, apart from generators and names of augmenters."""
    seen = set() if seen is None else seen
    if one is other or (id(one), id(other)) in seen:
        return True
    if type(one) is not type(other):
        return False
    seen.add((id(one), id(other)))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            alike(value, other[key], seen) for key, value in one.items() if key not in _OWN
        )
    if isinstance(one, (list, tuple)):
        same = len(one) == len(other) and all(map(lambda a, b: alike(a, b, seen), one, other))
        # Lists of augmenters are augmenters, too.
        return same and (not hasattr(one, "__dict__") or alike(vars(one), vars(other), seen))
    if isinstance(one, (FunctionType, MethodType)):
        return _alike_functions(one, other, seen)
    if hasattr(one, "dtype"):
        return bool(one.dtype == other.dtype and one.shape == other.shape and (one == other).all())
    if hasattr(one, "__dict__") and not inspect.isclass(one):
        return alike(vars(one), vars(other), seen)
    return bool(one == other)


def _alike_functions(one: Any, other: Any, seen: set[tuple[int, int]]) -> bool:
    if isinstance(one, MethodType):
        return one.__func__ is other.__func__ and alike(one.__self__, other.__self__, seen)
    if one.__code__ is not other.__code__:
        return False
    cells = [[cell.cell_contents for cell in each.__closure__ or ()] for each in (one, other)]
    return alike(one.__defaults__, other.__defaults__, seen) and alike(cells[0], cells[1], seen)


def _is_set(key: str, value: Any) -> bool:
    return value is not None and value != "deprecated" and value is not False


def _init_of(thing: type) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(thing, "__init__")  # noqa: B009  # as `_replace` has it
    return found


def _replace(thing: type, init: Any) -> None:
    setattr(thing, "__init__", init)  # noqa: B010  # mypy: it is no method of a certain class


def _noting(thing: type, init: Callable[..., Any], noted: NotedArguments) -> Callable[..., Any]:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is thing:
            with suppress(TypeError):  # which `init` itself raises, too
                bound = signature.bind(self, *args, **kwargs)
                noted.add(self, dict(list(bound.arguments.items())[1:]))
        init(self, *args, **kwargs)

    return noting
