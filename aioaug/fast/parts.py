"""What augmenters consist of, and how classes are changed in it. Importing this imports imgaug."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from .families import NODES
from .replacements import FASTER

# What has no code of its own. Containers count by what is in them.
_PLAIN = {bool, int, float, complex, str, bytes, slice, list, tuple, dict}


def change_classes(augmenter: Any, forms: Mapping[type, type] = FASTER) -> Any:
    """The same augmenter or parameter, with parts of other classes, as the table says."""
    for found in objects_in(augmenter):
        faster = forms.get(type(found))
        if faster is not None:
            found.__class__ = faster
    return augmenter


def draws_from_its_own(augmenter: Any) -> bool:
    """Whether all of it is imgaug's, which never draws from generators of other libraries.

    A function or a class of somebody else may draw from any.
    """
    return all(_is_imgaugs_own(found) for found in objects_in(augmenter))


def _is_imgaugs_own(found: Any) -> bool:
    if found is None or type(found) in _PLAIN:
        return True
    named = found if isinstance(found, (type, FunctionType)) else type(found)
    package, _, module = named.__module__.partition(".")
    # That one calls another library, though it seeds NumPy's generator by itself.
    if package == "imgaug":
        return module != "augmenters.imgcorruptlike"
    return package == "numpy" or named.__module__.startswith(f"{__package__}.")


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
