"""Where batches are augmented: in processes, in threads or right here."""

from __future__ import annotations

from collections.abc import Callable

from .base import Engine, State
from .inline import InlineEngine
from .process.engine import ProcessEngine
from .thread import ThreadEngine

__all__ = ["Engine", "InlineEngine", "ProcessEngine", "State", "ThreadEngine", "engine_class"]

_ENGINES: dict[str, type[Engine]] = {
    "inline": InlineEngine,
    "process": ProcessEngine,
    "thread": ThreadEngine,
}

EngineFactory = Callable[..., Engine]


def engine_class(engine: str | EngineFactory) -> EngineFactory:
    """The class behind an engine's name; a class or factory of your own passes as it is."""
    if callable(engine):
        return engine
    if engine not in _ENGINES:
        names = ", ".join(repr(name) for name in _ENGINES)
        raise ValueError(f"engine must be one of {names} or a factory, got {engine!r}")
    return _ENGINES[engine]
