"""The result of a call: a value or an exception, both of them plain data that pickles."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from ..errors import RemoteError, RemoteTraceback, TransportError
from . import pickling

T = TypeVar("T")

# Raised on the caller's side, each of these would end its iteration or its task.
_ENDS = (StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError)
# And these would end the program.
MISLEADING = (*_ENDS, KeyboardInterrupt, SystemExit)


class Success(Generic[T]):
    """The value that a call returned."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def unwrap(self) -> T:
        return self.value


class Failure:
    """The exception that a call raised. Pickling it never fails."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def unwrap(self) -> NoReturn:
        try:
            raise self.error
        finally:
            del self  # the traceback has this frame, and would keep the exception alive

    def __reduce__(self) -> tuple[Callable[..., Failure], tuple[bytes, str]]:
        plain = isinstance(self.error, TransportError) and self.error.without_traceback
        text = "" if plain else "".join(traceback.format_exception(self.error))
        return _from_afar, (_pickled(self.error), text)


class Skipped:
    """Stands where a batch failed and was left out."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


Outcome = Success[T] | Failure
# What becomes of a batch: it comes augmented and as it is, or one of these stands in its place.
BatchResult: TypeAlias = Any | Failure | Skipped


def attempt(fn: Callable[..., T], *args: Any) -> Outcome[T]:
    """Call `fn` and return what became of it, whatever it raises."""
    result = value_or_failure(fn, *args)
    return result if isinstance(result, Failure) else Success(result)


def value_or_failure(fn: Callable[..., T], *args: Any) -> T | Failure:
    """The same for many values that travel together: each comes as it is, unless it failed."""
    try:
        return fn(*args)
    except BaseException as error:
        return Failure(_plain(error) if isinstance(error, MISLEADING) else error)


def unwrap(result: T | Failure) -> T:
    """The value, or raise what the call raised instead."""
    if not isinstance(result, Failure):
        return result
    try:
        result.unwrap()
    finally:
        del result  # as there


def plainly(fn: Callable[[], T], ends: tuple[type[BaseException], ...] = _ENDS) -> T:
    """What `fn` returns, with a plain error in the place of one that would end whoever waits."""
    try:
        return fn()
    except ends as error:
        plain = RuntimeError(f"{type(error).__name__} was raised: {error}")
        for note in getattr(error, "__notes__", ()):
            plain.add_note(note)
        raise plain from error


def survives(value: object) -> bool:
    """Whether a value can be pickled, and then unpickled, which many exceptions cannot be."""
    return _surviving(value) is not None


def _surviving(value: object) -> bytes | None:
    try:
        data = pickling.dumps(value)
        return data if type(pickle.loads(data)) is type(value) else None
    except BaseException:  # it may have been made to raise anything
        return None


def _plain(error: BaseException) -> RemoteError:
    stand_in = RemoteError(type(error).__qualname__, str(error))
    stand_in.__cause__ = error
    return stand_in


def _pickled(error: BaseException) -> bytes:
    """`error` itself if it survives pickling, else a `RemoteError` that tells of it."""
    data = _surviving(error) if isinstance(error, Exception) else None
    if data is not None:
        return data
    text = "".join(traceback.format_exception(error))
    return pickling.dumps(RemoteError(type(error).__qualname__, str(error), text))


def _from_afar(data: bytes, text: str) -> Failure:
    error = pickle.loads(data)
    if text:
        error.__cause__ = RemoteTraceback(text)
    return Failure(error)
