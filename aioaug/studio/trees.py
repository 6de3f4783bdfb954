"""Pipelines as data: trees of nodes out of JSON, which are checked, built, and written as source.

A node is an object: the name of an augmenter, its parameters, and lists of nodes inside it:

    {"name": "Sometimes", "parameters": {"p": 0.5}, "children": {"then_list": [...]}}

One that has no such description stays what it is. Its node says where it is in a pipeline that the
server was given, counted as imgaug counts all augmenters of a tree, the tree itself first:

    {"given": "standard", "place": 3, "title": "Lambda"}

A node with `"off": true` is left out. `"alone": ["then_list"]` says that there the one child itself
was given, and not a list of it: where that child is a list, too, imgaug draws other numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from .catalog import AugmenterKind, augmenter_classes, catalog
from .values import python_value, source_of

MOST_NODES = 64
DEEPEST_NODE = 8
Node = dict[str, Any]
Given = Callable[[str], Any]
_INDENT = "    "
_LINE = 88
_LISTS = ("Sequential", "OneOf")  # which take what is in them first


def check_tree(node: Any, places: dict[str, int]) -> Node:
    """Return the node if it is one; `places` are the pipelines, and how many augmenters each has.

    Raises `ValueError`, which says what is wrong and where.
    """
    _check_node(node, places, "pipeline", 0)
    count = sum(1 for _ in nodes_of(node))
    if count > MOST_NODES:
        raise ValueError(f"the pipeline has {count} augmenters; {MOST_NODES} is the most")
    checked: Node = node
    return checked


def nodes_of(node: Node) -> Iterator[Node]:
    """A node and all below it, those that are off, too."""
    yield node
    for children in node.get("children", {}).values():
        for child in children:
            yield from nodes_of(child)


def build(node: Node, given: Given, named: bool = False) -> Any:
    """The augmenter of a checked tree; `given` gives pipelines by name.

    With `named` each augmenter is called as its place in the tree, such as "#0.then_list.2".

    Raises `ValueError` for what imgaug does not accept.
    """
    return _built(node, given, "#" if named else None)


def augmenter_at(pipeline: Any, place: int) -> Any:
    """The augmenter at a place in a pipeline, which is 0 for the whole of it."""
    return pipeline if place == 0 else all_augmenters(pipeline)[place]


def all_augmenters(pipeline: Any) -> list[Any]:
    """A pipeline of imgaug and all augmenters in it, in imgaug's order; of others, only itself."""
    inside = getattr(pipeline, "get_all_children", None)
    return [pipeline, *inside(flat=True)] if inside is not None else [pipeline]


def source(node: Node, given: Callable[[str, int], str]) -> str:
    """The expression that builds a checked tree; `given` gives that of a node that is opaque."""
    return _source(node, given, "")


def is_whole_given(node: Node) -> bool:
    """Whether the tree is one opaque node that stands for a whole pipeline."""
    return "given" in node and node["place"] == 0


def _check_node(node: Any, places: dict[str, int], where: str, depth: int) -> None:
    if depth > DEEPEST_NODE:
        raise ValueError(f"{where} is nested more than {DEEPEST_NODE} levels deep")
    match node:
        case {"given": str(name), "place": int(place), **others} if others.keys() <= _OF_GIVEN:
            if name not in places:
                raise ValueError(f"{where}: no pipeline here is called {name[:64]!r}")
            if not 0 <= place < places[name]:
                raise ValueError(f"{where}: pipeline {name!r} has no augmenter at place {place}")
        case {"name": str(name), **others} if others.keys() <= _MEMBERS:
            rest = {str(key): value for key, value in others.items()}
            kind = catalog().get(name)
            if kind is None:
                raise ValueError(f"{where}: the list has no augmenter {name[:64]!r}")
            _check_parts(kind, rest, places, where, depth)
        case _:
            raise ValueError(f"{where} must be an object with a name, or with given and place")


_OF_GIVEN = {"title", "off"}
_MEMBERS = {"parameters", "children", "alone", "off"}


def _check_parts(
    kind: AugmenterKind, rest: Node, places: dict[str, int], where: str, depth: int
) -> None:
    parameters, children = rest.get("parameters", {}), rest.get("children", {})
    alone = rest.get("alone", [])
    if not isinstance(parameters, dict) or not isinstance(children, dict):
        raise ValueError(f"{where}: parameters and children must be objects")
    if not isinstance(alone, list) or not all(name in kind.children for name in alone):
        raise ValueError(f"{where}: alone must be a list of {', '.join(kind.children)}")
    known = {parameter.name: parameter for parameter in kind.parameters}
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(f"{where}: {kind.name} has no parameter {name[:64]!r}")
        known[name].check(value, f"{kind.name}.{name}")
    for name, inner in children.items():
        if name not in kind.children or not isinstance(inner, list):
            raise ValueError(f"{where}: {kind.name} has no list of augmenters {name[:64]!r}")
        for position, child in enumerate(inner):
            _check_node(child, places, f"{where}.{name}[{position}]", depth + 1)


def _built(node: Node, given: Given, name: str | None) -> Any:
    if "given" in node:
        # Not a copy: that would have generators of its own, and draw other numbers.
        made = augmenter_at(given(node["given"]), node["place"])
    else:
        arguments = {key: python_value(value) for key, value in node.get("parameters", {}).items()}
        for key, inner in node.get("children", {}).items():
            below = None if name is None else f"{name}.{key}"
            made_children = [
                _built(child, given, None if below is None else f"{below}.{position}")
                for position, child in enumerate(inner)
                if not child.get("off")
            ]
            single = key in node.get("alone", ()) and len(made_children) == 1
            arguments[key] = made_children[0] if single else made_children
        made = _made(node["name"], arguments)
    if name is not None and hasattr(made, "name"):
        made.name = name
    return made


def _made(name: str, arguments: dict[str, Any]) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            return augmenter_classes()[name](**arguments)
    except Exception as error:  # imgaug raises Exception itself
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name} cannot be made like this: {why}") from error


def _source(node: Node, given: Callable[[str, int], str], indent: str) -> str:
    if "given" in node:
        return given(node["given"], node["place"])
    kind = catalog()[node["name"]]
    defaults = {parameter.name: parameter for parameter in kind.parameters}
    parts = [
        f"{key}={source_of(value)}"
        for key, value in node.get("parameters", {}).items()
        if defaults[key].required or value != defaults[key].default
        or type(value) is not type(defaults[key].default)
    ]  # fmt: skip
    inner_indent = indent + _INDENT
    several = False
    for key, inner in node.get("children", {}).items():
        shown = [child for child in inner if not child.get("off")]
        if key in node.get("alone", ()) and len(shown) == 1:
            parts.append(f"{key}={_source(shown[0], given, inner_indent)}")
            continue
        several = several or bool(shown)
        lines = [f"{inner_indent}{_INDENT}{_source(child, given, inner_indent + _INDENT)},\n"
                 for child in shown]  # fmt: skip
        ends = f"\n{''.join(lines)}{inner_indent}" if lines else ""
        parts.append(f"{key}=[{ends}]")
    start = f"iaa.{node['name']}("
    if len(parts) == 1 and node["name"] in _LISTS:
        parts = [parts[0].removeprefix("children=")]
    flat = f"{start}{', '.join(parts)})"
    if not several and "\n" not in flat and len(indent) + len(flat) <= _LINE:
        return flat
    return start + "".join(f"\n{inner_indent}{part}," for part in parts) + f"\n{indent})"
