"""The caller's main program, imported in a worker when something of it is unpickled."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Mapping
from multiprocessing import spawn
from types import ModuleType
from typing import Any


def import_when_needed(where: Mapping[str, str]) -> None:
    """Have `__main__` stand for the caller's main program, without importing it yet.

    `where` is as `multiprocessing.spawn.prepare` takes it. Unpickling looks for what a script
    defines in `__main__`; the first such look imports the script, under the name `__mp_main__`.
    """
    sys.modules["__main__"] = sys.modules["__mp_main__"] = _MainProgram(where)


refusals: list[str] = []  # why something of the main program could not be had


def is_being_imported() -> bool:
    """Whether this process imports the main program of its parent just now."""
    return bool(getattr(multiprocessing.current_process(), "_inheriting", False))


class _MainProgram(ModuleType):
    def __init__(self, where: Mapping[str, str]) -> None:
        super().__init__("__main__")
        self._where = dict(where)

    def __repr__(self) -> str:
        # The error of unpickling ends with this, and says nothing else of why.
        return (
            "the main program, which workers cannot import since it is in no file; "
            "put what they need into a module, and import it from there"
        )

    def __getattr__(self, name: str) -> Any:
        # Much of Python looks for `__file__` and the like in every module.
        if name.startswith("__") or not self._where:
            if not name.startswith("__"):
                refusals.append(repr(self))
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        where, self._where = self._where, {}
        process: Any = multiprocessing.current_process()
        process._inheriting = True  # a script without a guard would start processes and pools
        try:
            spawn.prepare(where)
        except BaseException:
            self._where = where
            raise
        finally:
            del process._inheriting
        return getattr(sys.modules["__main__"], name)
