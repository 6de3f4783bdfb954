"""Objects as bytes: pickled, with their large arrays beside the pickle instead of in it."""

from __future__ import annotations

import pickle
import signal
import threading
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._base import pickling
from ..errors import TransportError
from . import unpicklable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Memory = NDArray[np.uint8]

# Smaller buffers stay in the head, because pickling them is faster.
_SMALL = 4096


def flatten(
    value: Any, room: int = 0, *, elsewhere: bool = False
) -> tuple[bytes, list[memoryview]]:
    """Pickle `value` but for its large buffers, returned beside it, uncopied.

    They stay in the pickle while all of them together have less than `room` bytes. `elsewhere` is
    for programs that cannot import the main program of this one.
    """
    try:
        return pickling.flatten(value, _SMALL, room, elsewhere=elsewhere)
    except BaseException as error:
        raise _refusal("pickled", error, unpicklable.describe(value)) from error


def pickled(value: Any, *, elsewhere: bool = False) -> bytes:
    """Pickle `value` whole, or raise `TransportError`; `elsewhere` as in `flatten`."""
    try:
        return pickling.dumps(value, elsewhere=elsewhere)
    except BaseException as error:
        raise _refusal("pickled", error, unpicklable.describe(value)) from error


def rebuild(head: bytes | memoryview, buffers: Iterable[Any] = ()) -> Any:
    """The object that `flatten` took apart, its arrays lying in `buffers`."""
    try:
        return pickle.loads(head, buffers=buffers)
    except BaseException as error:
        raise _refusal("unpickled", error) from error


def _refusal(what: str, error: BaseException, where: str = "") -> BaseException:
    """What to raise for an error in pickle: an object may raise any, even `KeyboardInterrupt`."""
    if isinstance(error, KeyboardInterrupt) and _is_from_signal(error):
        return error
    why = str(error) if isinstance(error, Exception) else repr(error)
    return TransportError(f"cannot be {what}: {why}{where}")


def _is_from_signal(error: KeyboardInterrupt) -> bool:
    """Whether a signal raised this; handlers of signals run in the main thread only."""
    handler: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        return False  # workers ignore the signal
    if handler is signal.default_int_handler:
        return True  # it has no frame in the traceback, so an object may look like a signal
    code = getattr(getattr(handler, "func", handler), "__code__", None)
    return any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))
