"""Where batches are augmented: in processes, in threads, right here, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable

from .._base.results import attempt
from .._base.system import worker_count
from .base import Engine, State
from .cluster.dask import DaskEngine
from .cluster.ray import RayEngine
from .inline import InlineEngine
from .process.engine import ProcessEngine
from .thread import ThreadEngine

__all__ = [
    "DaskEngine",
    "Engine",
    "InlineEngine",
    "ProcessEngine",
    "RayEngine",
    "State",
    "ThreadEngine",
    "attempt",
    "engine_class",
    "is_cluster",
    "is_ours",
    "workers_for",
]

_ENGINES: dict[str, type[Engine]] = {
    "inline": InlineEngine,
    "process": ProcessEngine,
    "thread": ThreadEngine,
}

_CLUSTERS = ("dask", "dask://HOST:PORT", "ray", "ray://HOST:PORT")

EngineFactory = Callable[..., Engine]


def engine_class(engine: str | EngineFactory) -> EngineFactory:
    """The class behind an engine's name; a class or factory of your own passes as it is.

    `"dask"` is the cluster that Dask's own configuration names, `"dask://host:8786"` one of that
    address; `"ray"` and `"ray://head:10001"` are the same for Ray.
    """
    if callable(engine):
        return engine
    if engine in _ENGINES:
        return _ENGINES[engine]
    kind, _, place = engine.partition("://")
    if kind == "dask":
        return DaskEngine(f"tcp://{place}" if place else None)
    if kind == "ray":
        return RayEngine(engine if place else None)
    names = ", ".join(repr(name) for name in (*_ENGINES, *_CLUSTERS))
    raise ValueError(f"engine must be one of {names} or a factory, got {engine!r}")


def is_cluster(engine: str | EngineFactory) -> bool:
    """Whether its workers are on other machines, and as many as a cluster has."""
    return bool(getattr(engine_class(engine), "has_own_workers", False))


def is_ours(engine: str | EngineFactory | None) -> bool:
    """Whether its workers are processes of this program."""
    return engine is None or engine_class(engine) is ProcessEngine


def workers_for(engine: str | EngineFactory, processes: int | None) -> int:
    """How many workers an engine is asked for; `ValueError` where that is the cluster's affair."""
    if processes is not None and is_cluster(engine):
        raise ValueError(
            f"processes={processes!r}: a cluster has the workers that it has; leave processes out"
        )
    return worker_count(processes)
