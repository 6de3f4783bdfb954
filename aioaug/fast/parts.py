"""What augmenters consist of, and how classes are changed in it. Importing this imports imgaug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .families import NODES
from .replacements import FASTER


def change_classes(augmenter: Any, forms: Mapping[type, type] = FASTER) -> Any:
    """The same augmenter or parameter, with parts of other classes, as the table says."""
    for found in objects_in(augmenter):
        faster = forms.get(type(found))
        if faster is not None:
            found.__class__ = faster
    return augmenter


def objects_in(augmenter: Any) -> Iterator[Any]:
    """An augmenter or parameter and all that it consists of, each once, in the tree's order."""
    seen: set[int] = set()
    open_ends = [augmenter]
    while open_ends:
        found = open_ends.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        open_ends.extend(reversed(list(_parts(found))))


def _parts(found: Any) -> Iterator[Any]:
    """What an object of imgaug's consists of; of other objects nothing, but for containers."""
    if isinstance(found, (list, tuple)):
        yield from found
    elif isinstance(found, dict):
        yield from found.values()
    if isinstance(found, NODES):
        yield from vars(found).values()
