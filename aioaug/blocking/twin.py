"""The base of the blocking twins: an async object, called from any thread."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, Self, TypeVar

from .._aio.bridge import BlockingBridge
from .._aio.tasks import warn_of_drop

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")

_End = Callable[[Any], Coroutine[Any, Any, None]]


class Wrapper(Protocol[R]):
    """A class whose objects stand for what an async object returns."""

    def around(self, thing: Any, kept: tuple[Any, ...]) -> R:
        """Such an object, made on the loop. It keeps `kept` alive, which begins with the twin."""


class BlockingTwin:
    """An async object with blocking methods, which run on the loop that all twins share.

    A subclass names the class it is the twin of (`of`), the coroutine function that ends such an
    object at once from any state (`end`), and whether building it `starts` it. Its signature is
    that of the async class, its methods are made of those of that class by `blocking`, `ending`
    and `relayed`, and its other attributes are read from the async object.

    Methods may be called from any thread and from a signal's handler. Where an event loop runs,
    that loop stands still meanwhile. A callback must not call them: it runs in the thread of the
    shared loop, which would wait for itself. Arguments may be twins. An interrupt (Ctrl-C) cancels
    the call and leaves the object usable.
    """

    _of: ClassVar[type[Any]]
    _end: ClassVar[_End]
    _starts: ClassVar[bool]
    _instead: ClassVar[str]
    _dropped_silently = False

    def __init_subclass__(
        cls, of: type[Any], end: _End, starts: bool = False, instead: str = ""
    ) -> None:
        cls._of, cls._end = of, staticmethod(end)
        cls._starts, cls._instead = starts, instead
        cls.__signature__ = inspect.signature(of)  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if self._instead:
            warnings.warn(
                f"{type(self).__name__} is deprecated, use {self._instead} instead",
                FutureWarning,  # the one for deprecations that is shown to everybody
                stacklevel=2,
            )
        self._set_up(self._of(*_plain(args), **_plain_named(kwargs)), (args, kwargs))
        if self._starts:
            try:
                self._call(self._of.start)
            except BaseException:
                self._last(type(self)._end)
                raise

    @classmethod
    def around(cls, thing: Any, kept: tuple[Any, ...]) -> Self:
        """The twin of an object that a twin's method returned: `kept` begins with that twin."""
        twin = cls.__new__(cls)
        twin._set_up(thing, kept, kept[0]._bridge)
        return twin

    def _set_up(
        self, thing: Any, kept: tuple[Any, ...], lender: BlockingBridge | None = None
    ) -> None:
        self._thing = thing
        self._kept = kept  # twins that are its sources, or the twin that it comes from
        # It comes last: by it `__del__` sees that the others are there.
        self._bridge = BlockingBridge(type(self).__name__, thing, lender)

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._relay(method, None, args, kwargs)

    def _relay(
        self, method: Callable[..., Any], wrapper: Wrapper[Any] | None, args: Any, kwargs: Any
    ) -> Any:
        kept = self, args, kwargs

        async def work() -> Any:
            result = method(self._thing, *_plain(args), **_plain_named(kwargs))
            if inspect.iscoroutine(result):
                result = await result
            return result if wrapper is None else wrapper.around(result, kept)

        try:
            return self._bridge.call(work)
        except Exception:
            if getattr(self._thing, "closed", False):
                # What ended by this error may keep it, and with its traceback this twin, too. The
                # loop keeps the object, so `__del__` would never come.
                self._bridge.release()
            raise

    def _last(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method that ends the object, and let go of the loop.

        An interrupt cancels that method, which may not have begun: so the object is then ended in
        the background.
        """
        try:
            result = self._relay(method, None, args, kwargs)
        except Exception:
            self._bridge.release()
            raise
        except BaseException:
            self._dropped_silently = True
            self._bridge.end(type(self)._end, self._thing, wait=False)
            raise
        self._bridge.release()
        return result

    def __getattr__(self, name: str) -> Any:
        private = name.startswith("_")
        value = None if private else getattr(self._thing, name)
        if private or inspect.ismethod(value):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return value

    def __enter__(self) -> Self:
        self._call(self._of.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._last(self._of.__aexit__, kind, error, traceback)

    def __del__(self) -> None:
        bridge = self.__dict__.get("_bridge")  # it is not there if `__init__` raised
        if bridge is None:
            return
        silent = self._dropped_silently or getattr(self._thing, "closed", False)
        if bridge.end_dropped(type(self)._end, self._thing) and not silent:
            warn_of_drop(self)


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """A method that waits for what the async one returns."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._relay(method, None, args, kwargs)
        return result

    return call


def ending(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """The same for a method that ends the object."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._last(method, *args, **kwargs)
        return result

    return call


def relayed(
    method: Callable[Concatenate[Any, P], object], wrapper: Wrapper[T]
) -> Callable[Concatenate[Any, P], T]:
    """A method that does not wait, run on the loop; what it returns is wrapped."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._relay(method, wrapper, args, kwargs)
        return result

    return call


class AsItIs(Wrapper[T]):
    """Wraps nothing: says what type a method returns."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind

    def around(self, thing: Any, kept: tuple[Any, ...]) -> T:
        value: T = thing
        return value


def _plain(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, with the async object in the place of each twin."""
    return tuple(value._thing if isinstance(value, BlockingTwin) else value for value in values)


def _plain_named(values: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(values, _plain(tuple(values.values())), strict=True))
