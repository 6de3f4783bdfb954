"""What workers of a cluster run: calls that come as parcels, on states that were sent before.

A worker of Dask or Ray is no process of ours: other programs' work runs in it, too, and it may run
several calls at once, in threads. So each call borrows a copy of the state, and leaves what others
use there as it was.
"""

from __future__ import annotations

import pickle
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from .._base.results import Failure, Outcome, attempt
from .._base.versions import installed_version
from .._transport import serialization
from ..errors import TransportError
from .main import keep_memory

# What the bytes of a batch depend on. Where the first ones differ, nothing works, or may not.
VITAL = ("python", "aioaug")
OTHERS = ("imgaug", "numpy", "opencv", "scipy", "scikit-image")
# States that a worker of Ray holds.
_MOST_STATES = 4
# OpenCV comes under several names.
_OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)


class Parcel:
    """A pickle and the buffers that belong to it, which cross a network without being copied.

    `seconds` is what the worker needed for the call whose outcome this is.
    """

    __slots__ = ("buffers", "head", "seconds")

    def __init__(self, head: bytes, buffers: Sequence[Any], seconds: float = 0.0) -> None:
        self.head = head
        self.buffers = buffers
        self.seconds = seconds

    @classmethod
    def of(cls, value: Any, seconds: float = 0.0) -> Parcel:
        """Pack a value, uncopied; `TransportError` if it cannot be pickled."""
        return cls(*serialization.flatten(value, elsewhere=True), seconds)

    @property
    def nbytes(self) -> int:
        """Its size in bytes, by which Dask decides where to work on it."""
        return len(self.head) + sum(memoryview(buffer).nbytes for buffer in self.buffers)

    def __sizeof__(self) -> int:
        return self.nbytes

    def open(self) -> Any:
        """The value, its arrays lying in the buffers as they came."""
        return serialization.rebuild(self.head, self.buffers)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.head, [*map(pickle.PickleBuffer, self.buffers)], self.seconds)


class StateCopies:
    """Copies of one state, as many as calls run at once here."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._pristine = serialization.rebuild(data)
        # There is a thread for each core: threads of their libraries would be in each other's way.
        if "cv2" in sys.modules:
            sys.modules["cv2"].setNumThreads(0)
        keep_memory()
        if hasattr(self._pristine, "begin"):
            self._pristine.begin()
        self._free: list[Any] = []
        self._lock = threading.Lock()
        self._ended = False

    def run(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Call a function with a copy that nobody else uses meanwhile."""
        with self._lock:
            state = self._free.pop() if self._free else self._pristine.clone()
        usable = False
        try:
            result = fn(state, *args)
            usable = True
            return result
        except Exception:
            usable = True
            raise
        finally:  # one that was interrupted may be anything
            with self._lock:
                kept = usable and not self._ended
                if kept:
                    self._free.append(state)
            if not kept:
                _end(state)

    def end(self) -> None:
        """Let all copies end what they began; those at work do it when they are done."""
        with self._lock:
            states, self._free, self._ended = [*self._free, self._pristine], [], True
        for state in states:
            _end(state)


def _end(state: Any) -> None:
    if hasattr(state, "end"):
        state.end()


class StateMissing(LookupError):
    """A worker was given a call before it had the state that the call needs."""


_states: dict[str, Outcome[StateCopies]] = {}


def keep_state(token: str, data: bytes | memoryview) -> None:
    """Hold a state for calls to come; why it cannot be unpickled is what each of them raises."""
    _states[token] = attempt(StateCopies, data)


def keep_last_state(token: str, data: Any) -> None:
    """Hold a state, unless it is here already, and the last few others; for Ray's workers.

    These serve all pools of a program, and nobody tells them when a pool has ended.
    """
    if token in _states:
        return
    for old in list(_states)[: -_MOST_STATES + 1]:
        drop_state(old)
    keep_state(token, memoryview(data))


def drop_state(token: str) -> None:
    """Hold it no more."""
    outcome = _states.pop(token, None)
    if outcome is not None and not isinstance(outcome, Failure):
        outcome.value.end()


def describe(token: str) -> dict[str, Any]:
    """What this worker has installed, and why it does not have the state, if it does not."""
    outcome = _states.get(token)
    failure = attempt(_missing, token) if outcome is None else outcome
    return {
        "versions": versions(),
        "failure": Parcel.of(failure) if isinstance(failure, Failure) else None,
    }


def run_parcel(token: str, parcel: Parcel) -> Parcel:
    """Run a call, and pack what becomes of it; it raises nothing but `StateMissing`."""
    states = _states.get(token)
    if states is None:
        _missing(token)
    begun = time.perf_counter()
    outcome = attempt(_run, states, parcel)
    seconds = time.perf_counter() - begun
    try:
        return Parcel.of(outcome, seconds)
    except TransportError as error:
        return Parcel.of(Failure(error), seconds)


def _run(states: Outcome[StateCopies], parcel: Parcel) -> Any:
    fn, args = parcel.open()
    return states.unwrap().run(fn, args)


def _missing(token: str) -> None:
    raise StateMissing(f"this worker has no augmenter {token}")


def versions() -> dict[str, str]:
    """The versions here of what the bytes of a batch depend on; an empty text where it is not."""
    own = sys.modules[__name__.partition(".")[0]].__version__
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "aioaug": own}
    names: dict[str, tuple[str, ...]] = {name: (name,) for name in OTHERS} | {"opencv": _OPENCV}
    for name, distributions in names.items():
        found[name] = next(filter(None, map(installed_version, distributions)), "")
    return found
