"""Pickles for workers: they name what workers can import, and hold the code of what they cannot.

pickle names functions and classes by their module. Workers cannot import lambdas, closures and
what a notebook defines, so cloudpickle sends their code. It is slower, so pickle is tried first.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import weakref
from collections import ChainMap
from collections.abc import Callable
from functools import lru_cache
from multiprocessing import process
from types import FunctionType, ModuleType
from typing import Any, ClassVar

from . import tensors

# Under these names multiprocessing tells a new process which main program it has to import.
MAIN_KEYS = BY_NAME, BY_PATH = ("init_main_from_name", "init_main_from_path")

# The classes that this process has sent by value, or received whole.
_known_classes: weakref.WeakSet[type] = weakref.WeakSet()


def dumps(value: Any, *, elsewhere: bool = False) -> bytes:
    """Pickle `value` whole."""
    return flatten(value, None, elsewhere=elsewhere)[0]


def flatten(
    value: Any, small: int | None, room: int = 0, *, elsewhere: bool = False
) -> tuple[bytes, list[memoryview]]:
    """Pickle `value` but for buffers of `small` bytes or more, returned beside it, uncopied.

    `None` pickles it whole. Buffers stay in the pickle, too, while those of `small` bytes or more
    have together less than `room` bytes. What goes `elsewhere`, to programs that are not started
    by this one, holds the code of what the main program defines, also if that is a script.
    """
    buffers: list[memoryview] = []
    try:
        data = _pickled(value, _collector(buffers, small, room))
    except Exception:
        return _flatten_by_value(value, small, room, elsewhere)
    # A text with this name in it goes by value as well, which does no harm.
    if (elsewhere or not _is_importable(sys.modules.get("__main__"))) and b"__main__" in data:
        return _flatten_by_value(value, small, room, elsewhere)
    return data, buffers


def main_program() -> dict[str, str]:
    """Where the main program of this process can be imported from; empty if it cannot be."""
    main = sys.modules["__main__"]
    module = getattr(getattr(main, "__spec__", None), "name", None)
    if module is not None:
        return {BY_NAME: module}
    path = getattr(main, "__file__", None)
    if path is None:
        return {}
    path = os.path.normpath(os.path.join(process.ORIGINAL_DIR or "", path))  # type: ignore[attr-defined]
    # There is no such file for a program from standard input.
    return {BY_PATH: path} if os.path.exists(path) else {}


def _pickled(value: Any, collect: Callable[[pickle.PickleBuffer], bool] | None) -> bytes:
    reducers = tensors.reducers()
    if reducers is None:  # which is quicker
        return pickle.dumps(value, protocol=5, buffer_callback=collect)
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5, buffer_callback=collect)
    pickler.dispatch_table = reducers
    pickler.dump(value)
    return file.getvalue()


def _collector(
    buffers: list[memoryview], small: int | None, room: int
) -> Callable[[pickle.PickleBuffer], bool] | None:
    if small is None:
        return None

    def keep_in_head(buffer: pickle.PickleBuffer) -> bool:
        nonlocal room
        raw = buffer.raw()
        if raw.nbytes < small:
            return True
        room -= raw.nbytes
        if room > 0:
            return True
        buffers.append(raw)
        return False

    return keep_in_head


@lru_cache(1)  # asked for every batch; IPython's %run puts another module in the place of this one
def _is_importable(main: ModuleType | None) -> bool:
    return bool(main_program())


def _flatten_by_value(
    value: Any, small: int | None, room: int, elsewhere: bool
) -> tuple[bytes, list[memoryview]]:
    buffers: list[memoryview] = []
    file = io.BytesIO()
    pickler = _pickler_class()(file, protocol=5, buffer_callback=_collector(buffers, small, room))
    pickler.elsewhere = elsewhere
    pickler.dump(value)
    return file.getvalue(), buffers


@lru_cache(1)
def _pickler_class() -> Any:
    import cloudpickle  # most programs never need it

    class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]
        dispatch_table: ClassVar[Any] = ChainMap(
            tensors.of_torch, *cloudpickle.Pickler.dispatch_table.maps
        )

        elsewhere = False

        def reducer_override(self, value: Any) -> Any:
            imports_main = not self.elsewhere and isinstance(value, (type, FunctionType))
            if imports_main and _is_of_importable_main(value):
                return NotImplemented  # else workers would have two classes of this name
            reduced = super().reducer_override(value)
            if not isinstance(value, type) or reduced is NotImplemented or len(reduced) < 6:
                return reduced
            _known_classes.add(value)
            make, arguments, state, _, _, fill = reduced
            return make, arguments, (fill, state), None, None, _fill_class

    return ByValuePickler


def _is_of_importable_main(value: Any) -> bool:
    main = sys.modules.get("__main__")
    if value.__module__ != "__main__" or not _is_importable(main):
        return False
    return getattr(main, value.__qualname__, None) is value


def _fill_class(empty: type, state: tuple[Any, Any]) -> None:
    """Give a class its members, unless it has them.

    A class that comes back with a result is the one that was sent. Filled again, it would get
    copies of its methods, which know nothing of the program's global variables.
    """
    if empty not in _known_classes:
        fill, members = state
        fill(empty, members)
        _known_classes.add(empty)
