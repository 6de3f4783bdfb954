"""The semaphores of an executor, which have names in the system until somebody unlinks them.

multiprocessing keeps the names until the end of the program. One that is killed leaves them behind,
as a server does whose worker did not stop in time, and multiprocessing's resource tracker prints a
warning of "leaked semaphore objects". Only a process that starts needs the names.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import util
from multiprocessing.synchronize import SemLock
from typing import Any


def semaphores_of(executor: ProcessPoolExecutor) -> list[SemLock]:
    """The semaphores of its two queues, once it has started its process."""
    private: Any = executor
    parts = [*vars(private._call_queue).values(), *vars(private._result_queue).values()]
    return [part for part in parts if isinstance(part, SemLock)]


def unlink(semaphores: list[SemLock]) -> None:
    """Have them lose their names, by the finalizers that would do it later. Idempotent."""
    registry: Any = util._finalizer_registry  # type: ignore[attr-defined]
    # While a tuple is made of a dict, garbage may be collected, and finalizers change the registry.
    for finalizer in registry.copy().values():
        refer = getattr(finalizer, "_weakref", None) or _to_nothing
        if any(refer() is semaphore for semaphore in semaphores):
            finalizer()


def _to_nothing() -> None:
    """Stands for the reference of finalizers that are not for an object."""
