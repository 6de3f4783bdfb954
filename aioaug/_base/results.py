"""The result of a call: a value or an exception, both of them plain data that pickles."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from ..errors import RemoteError, RemoteTraceback, TransportError

T = TypeVar("T")

# Raised on the caller's side, each of these would end a loop, a task or the program.
_MISLEADING = (
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    KeyboardInterrupt,
    SystemExit,
    asyncio.CancelledError,
)


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

    def __reduce__(self) -> tuple[Callable[..., Failure], tuple[Exception, str]]:
        plain = isinstance(self.error, TransportError) and self.error.without_traceback
        text = "" if plain else "".join(traceback.format_exception(self.error))
        return _from_afar, (_portable(self.error), text)


class Skipped:
    """Stands where a batch failed and was left out."""

    __slots__ = ()


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
        return Failure(_plain(error) if isinstance(error, _MISLEADING) else error)


def unwrap(result: T | Failure) -> T:
    """The value, or raise what the call raised instead."""
    if not isinstance(result, Failure):
        return result
    try:
        result.unwrap()
    finally:
        del result  # as there


def _plain(error: BaseException) -> RemoteError:
    stand_in = RemoteError(type(error).__qualname__, str(error))
    stand_in.__cause__ = error
    return stand_in


def _portable(error: BaseException) -> Exception:
    """`error` itself if it survives pickling, else a `RemoteError` that tells of it."""
    try:
        # An exception may pickle and then fail to unpickle, which kills executors of every kind.
        copy = pickle.loads(pickle.dumps(error))
        if isinstance(error, Exception) and type(copy) is type(error):
            return error
    except BaseException:  # it may have been made to raise anything
        pass
    text = "".join(traceback.format_exception(error))
    return RemoteError(type(error).__qualname__, str(error), text)


def _from_afar(error: Exception, text: str) -> Failure:
    if text:
        error.__cause__ = RemoteTraceback(text)
    return Failure(error)
