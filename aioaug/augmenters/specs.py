"""Augmenters by name, so that workers can load one that does not pickle.

A spec is `preset:NAME`, `path/to/file.py:NAME` or `package.module:NAME`. The name stands for
an augmenter, a function without arguments that returns one, or a callable `batch -> batch`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .._base.signatures import parameters_of
from ..errors import AugmenterSpecError
from .kinds import check_augmenter, is_imgaug
from .presets import PRESETS


def check(spec: str) -> str:
    """Return `spec` with its path made absolute; `AugmenterSpecError` if it cannot be right."""
    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise AugmenterSpecError(f"{spec!r} is not FILE.py:NAME or MODULE:NAME")
    if place == "preset" and name not in PRESETS:
        raise AugmenterSpecError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    if not place.endswith(".py"):
        return spec
    if not os.path.isfile(place):
        raise AugmenterSpecError(f"there is no file {place}")
    return f"{os.path.abspath(place)}:{name}"


def fingerprint(spec: str) -> str:
    """A digest of the file that a checked spec names; empty for what is not a file."""
    place = spec.rpartition(":")[0]
    if not place.endswith(".py"):
        return ""
    return _digest(Path(place).read_bytes())


def load(spec: str, fingerprint: str = "") -> Any:
    """The augmenter behind a checked spec.

    A file that is not the one with this fingerprint is not run: that is a `AugmenterSpecError`.
    """
    return load_and_tell(spec, fingerprint)[0]


def load_and_tell(spec: str, fingerprint: str = "") -> tuple[Any, bool]:
    """The same, and whether the name stands for a function that was called for it."""
    place, _, name = spec.rpartition(":")
    try:
        if place == "preset":
            return PRESETS[name](), True
        thing: Any = functools.reduce(getattr, name.split("."), _module(place, fingerprint))
        called = _makes_one(thing)
        if called:
            thing = thing()
        check_augmenter(thing)
    except (Exception, SystemExit) as error:
        why = " ".join(str(error).split()) or "no message"
        raise AugmenterSpecError(
            f"{spec} cannot be loaded: {type(error).__name__}: {why}"
        ) from error
    return thing, called


def _digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:16]


def _module(place: str, fingerprint: str) -> ModuleType:
    if not place.endswith(".py"):
        _look_in(os.getcwd())  # as python -m does; the script `aioaug` does not
        return importlib.import_module(place)
    path = Path(place)
    source = path.read_bytes()
    if fingerprint and _digest(source) != fingerprint:
        raise ImportError("it has changed")
    _look_in(str(path.parent))  # so that it can import its neighbours, as a script can
    module = ModuleType(f"_aioaug_recipe_{path.stem}")
    module.__file__ = place
    sys.modules[module.__name__] = module  # dataclasses and pickle look their modules up
    # The source whose digest was checked is run. An import would read the file or a cache again.
    exec(compile(source, place, "exec", dont_inherit=True), module.__dict__)
    return module


def _look_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _makes_one(thing: Any) -> bool:
    """Whether `thing` can be called without arguments, so that it is not `batch -> batch`."""
    if is_imgaug(thing) and not inspect.isclass(thing):
        return False
    parameters = parameters_of(thing)
    return parameters is not None and all(
        parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD
        for parameter in parameters.values()
    )
