"""What pools and streams are asked for, checked once and at the door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from .._base.arguments import seconds_or_none, shard_or_default, whole, whole_or_none
from .._base.seeding import check_seed
from .._base.system import worker_count
from ..engines import Engine, EngineFactory, State, engine_class
from .state import StreamState

Handler = Callable[[int, Any, BaseException], Any]
OnError = Literal["raise", "skip"] | Handler

# An engine's options that have other names as arguments of a pool.
_ARGUMENTS = {"max_memory": "max_worker_memory", "start_limit": "timeout"}
# Beside `timeout`, what a worker has for its start: what the augmenter imports may come from a cold
# disk.
_START_SECONDS = 20.0


@dataclass(frozen=True)
class PoolOptions:
    """What holds for every batch of a pool, and for the engine that it makes."""

    seed: int
    workers: int
    max_tasks: int | None
    retries: int
    timeout: float | None
    on_error: OnError
    engine: EngineFactory
    engine_options: Mapping[str, Any]

    @classmethod
    def checked(
        cls,
        *,
        processes: int | None,
        maxtasksperchild: int | None,
        seed: int | None,
        engine: str | EngineFactory,
        retries: int,
        timeout: float | None,
        on_error: OnError,
        max_bytes: int | None,
        max_worker_memory: int | None,
        **engine_options: Any,
    ) -> Self:
        """Out of the arguments of a pool; else `TypeError` or `ValueError`."""
        max_tasks = whole_or_none("maxtasksperchild", maxtasksperchild, low=1)
        effective_seed = check_seed(seed)
        workers = worker_count(processes)
        retries = whole("retries", retries, low=0)
        timeout = seconds_or_none("timeout", timeout)
        _check_on_error(on_error)
        factory = engine_class(engine)
        asked = {
            **engine_options,
            "max_bytes": whole_or_none("max_bytes", max_bytes, low=0),
            "max_memory": whole_or_none("max_worker_memory", max_worker_memory, low=1),
            "start_limit": None if timeout is None else timeout + _START_SECONDS,
        }
        asked = {name: value for name, value in asked.items() if value is not None}
        # A function that makes an engine does not say; it gets what was asked for.
        strange = [name for name in asked if name not in getattr(factory, "options", asked)]
        if strange:
            names = ", ".join(_ARGUMENTS.get(name, name) for name in strange)
            raise ValueError(f"{names}: only for workers that are processes")
        return cls(effective_seed, workers, max_tasks, retries, timeout, on_error, factory, asked)

    def make_engine(self, state: State) -> Engine:
        """An engine whose workers hold `state`."""
        return self.engine(
            state, workers=self.workers, max_tasks=self.max_tasks, **self.engine_options
        )


@dataclass(frozen=True)
class StreamOptions:
    """How one stream reads its source."""

    chunksize: int
    window: int | None
    state: StreamState | None
    shard: tuple[int, int]

    @classmethod
    def checked(
        cls,
        chunksize: int | None,
        output_buffer_size: int | None,
        state: Mapping[str, Any] | None = None,
        shard: tuple[int, int] | None = None,
    ) -> Self:
        """Out of the arguments of `imap_batches`; else `TypeError` or `ValueError`."""
        window = whole_or_none("output_buffer_size", output_buffer_size, low=0) or None
        return cls(
            whole_or_none("chunksize", chunksize, low=1) or 1,
            window,
            None if state is None else StreamState.load(state),
            shard_or_default("shard", shard),
        )


def _check_on_error(on_error: object) -> None:
    if isinstance(on_error, str):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")
    elif not callable(on_error):
        raise TypeError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")
