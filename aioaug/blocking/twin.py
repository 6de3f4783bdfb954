"""The base of the blocking twins: an async object, called from any thread."""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, Self, TypeVar

from .._aio import shared_portal
from .._aio.loops import check_process
from .._aio.tasks import end_aside
from ..errors import ClosedError

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")

# What warns when it is dropped itself, and must not be when a cycle is dropped that it is part of.
_silent: set[Any] = set()

_End = Callable[[Any], Coroutine[Any, Any, None]]


class Wrapper(Protocol[R]):
    """A class whose objects stand for what an async object returns."""

    def around(self, thing: Any, kept: object) -> R:
        """Such an object, made on the loop; it keeps `kept` alive."""


class BlockingTwin:
    """An async object with blocking methods, which run on the loop of `host`.

    A subclass names the class it is the twin of (`of`), what ends that at once from any state
    (`end`), and whether building it `starts` it. Its signature is that class's own, its methods
    are made of that class's by `blocking`, `ending` and `relayed`, and its other attributes are
    read from the async object.

    Methods may be called from any thread, also from one with a running event loop, which then
    stands still, and from a signal's handler; but not from the host's own thread, that is, not
    from a callback. Arguments may be twins. An interrupt (Ctrl-C) cancels the call and leaves the
    object usable.
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
        thing = self._of(*_plain(args), **_plain_named(kwargs))
        self._set_up(thing, (args, kwargs), shared_portal.PortalRef(), owner=True)
        if self._starts:
            try:
                self._call(self._of.start)
            except BaseException:
                self._last(type(self)._end)
                raise

    @classmethod
    def around(cls, thing: Any, kept: object) -> Self:
        """The twin of an object that exists already; what it comes from keeps the loop running."""
        twin = cls.__new__(cls)
        origin: Any = kept[0] if isinstance(kept, tuple) else kept
        twin._set_up(thing, kept, origin._portal_ref, owner=False)
        return twin

    def _set_up(
        self, thing: Any, kept: object, portal_ref: shared_portal.PortalRef, *, owner: bool
    ) -> None:
        self._thing = thing
        self._kept = kept  # twins that are its sources, or what it comes from
        self._owner = owner  # of the reference
        self._begun = False
        self._pid = os.getpid()
        self._portal_ref = portal_ref  # the last, by which __del__ sees that all is there

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._relay(method, None, args, kwargs)

    def _relay(
        self, method: Callable[..., Any], wrapper: Wrapper[Any] | None, args: Any, kwargs: Any
    ) -> Any:
        check_process(type(self).__name__, self._pid)
        kept = self, args, kwargs

        async def work() -> Any:
            result = method(self._thing, *_plain(args), **_plain_named(kwargs))
            if inspect.iscoroutine(result):
                result = await result
            return result if wrapper is None else wrapper.around(result, kept)

        # Also what was ended may be asked, which says so.
        return (
            self._portal_ref.call(work) if self._portal_ref.acquire() else shared_portal.call(work)
        )

    def _last(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method that ends it, and need the loop no more.

        After an interrupt, which may have come before that, it is ended without waiting for it.
        """
        try:
            result = self._relay(method, None, args, kwargs)
        except Exception:
            self._let_go()
            raise
        except BaseException:
            self._end_aside()
            raise
        self._let_go()
        return result

    def _end_aside(self) -> None:
        self._dropped_silently = True
        portal_ref = self._portal_ref if self._owner else None
        end_aside(_dispose, type(self)._end, self._thing, portal_ref)

    def _begin(self) -> None:
        """Count as open, for a twin that keeps nothing running itself."""
        self._begun = True
        _silent.add(self._thing)

    def _let_go(self) -> None:
        self._begun = False
        _silent.discard(self._thing)
        if self._owner:
            self._portal_ref.release()

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
        portal_ref = self.__dict__.get("_portal_ref")  # not built fully if __init__ raised
        is_open = portal_ref is not None and portal_ref.acquired and (self._owner or self._begun)
        # The exit of the program ends all workers by itself, and no thread can be started there.
        if not is_open or shared_portal.is_ending() or self._pid != os.getpid():
            return
        if not self._dropped_silently and not getattr(self._thing, "closed", False):
            warnings.warn(
                f"a {type(self).__name__} was dropped while it was open",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
        self._end_aside()


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
    """The same for a method after which the object is of no more use."""

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

    def around(self, thing: Any, kept: object) -> T:
        value: T = thing
        return value


def _dispose(end: _End, thing: Any, portal_ref: shared_portal.PortalRef | None) -> None:
    """End what was dropped; in a thread of its own, as any may have dropped it, the loop's too."""
    try:
        if portal_ref is None:
            shared_portal.call(end, thing)
        else:
            portal_ref.end(end, thing)
    except ClosedError:
        pass  # something else has ended it, or the program's exit does
    finally:
        _silent.discard(thing)


def _plain(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, with the async object in the place of each twin."""
    return tuple(value._thing if isinstance(value, BlockingTwin) else value for value in values)


def _plain_named(values: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(values, _plain(tuple(values.values())), strict=True))
