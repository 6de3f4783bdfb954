"""What `check_engine` has workers do. They import it by name, so nothing here is private to it."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, NoReturn, Self

import numpy as np


class Tally:
    """A state for workers, which counts the calls that its copy has had."""

    owns_interpreter = False

    def __init__(self) -> None:
        self.calls = 0
        self.inside = 0

    def clone(self) -> Self:
        return type(self)()


class Stubborn:
    """An object that cannot be pickled."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("this cannot be pickled")


def count(state: Tally) -> int:
    """Which call of this worker it is, from 1."""
    state.calls += 1
    return state.calls


def add(state: Tally, a: Any, b: Any) -> Any:
    """The sum."""
    return a + b


def give_back(state: Tally, value: Any) -> Any:
    """What came, as it came."""
    return value


def overwrite(state: Tally, array: Any) -> Any:
    """Change a copy of an array, and return it."""
    array = np.array(array)
    array[...] = 255
    return array


def fail(state: Tally, message: str) -> NoReturn:
    """Raise an error that any process knows."""
    raise LookupError(message)


def mislead(state: Tally, kind: str) -> NoReturn:
    """Raise what would have another meaning for whoever awaits the call."""
    raise {
        "StopIteration": StopIteration,
        "SystemExit": SystemExit,
        "CancelledError": asyncio.CancelledError,
    }[kind]("misleading")


def return_stubborn(state: Tally) -> Stubborn:
    """Return what cannot be pickled."""
    return Stubborn()


def stay(state: Tally, seconds: float) -> bool:
    """Take a while; returns whether this copy of the state had no other call meanwhile."""
    state.inside += 1
    threading.Event().wait(seconds)
    alone = state.inside == 1
    state.inside -= 1
    return alone


def end_worker(state: Tally) -> NoReturn:
    """Take the worker process down."""
    os._exit(3)
