"""What holds for every batch of a pool, and for the engine that the pool makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .._base.arguments import seconds_or_none, whole
from ..engines import Engine, EngineFactory, State
from ..engines.limits import CUTS_PER_WORKER

Handler = Callable[[int, Any, BaseException], Any]
OnError = Literal["raise", "skip"] | Handler

# An engine's options that have other names as arguments of a pool.
_ARGUMENTS = {"max_memory": "max_worker_memory", "start_limit": "timeout"}
# Beside `timeout`, what a worker has for its start: what the augmenter imports may come from a cold
# disk.
_START_SECONDS = 20.0


@dataclass(frozen=True)
class PoolOptions:
    """The arguments of a pool, checked. An option of the engine that is `None` is not passed on."""

    max_tasks: int | None
    seed: int
    workers: int
    retries: int
    timeout: float | None
    on_error: OnError
    max_waiting: int | None
    profile: bool
    engine: EngineFactory
    engine_options: Mapping[str, Any]

    def __post_init__(self) -> None:
        asked = self._asked()
        # A function that makes an engine does not say; it gets what was asked for.
        strange = [name for name in asked if name not in getattr(self.engine, "options", asked)]
        if strange:
            names = ", ".join(_ARGUMENTS.get(name, name) for name in strange)
            raise ValueError(f"{names}: only for workers that are processes")

    def make_engine(self, state: State) -> Engine:
        """An engine whose workers hold `state`."""
        return self.engine(state, workers=self.workers, max_tasks=self.max_tasks, **self._asked())

    def checked_timeout(self, timeout: float | None) -> float | None:
        """The `timeout` of one batch; `ValueError` if the engine cannot keep to one."""
        if timeout is not None and "start_limit" not in getattr(
            self.engine, "options", ("start_limit",)
        ):
            raise ValueError("timeout: only for workers that are processes")
        return seconds_or_none("timeout", timeout)

    def _asked(self) -> dict[str, Any]:
        limit = None if self.timeout is None else self.timeout + _START_SECONDS
        options = {**self.engine_options, "start_limit": limit}
        return {name: value for name, value in options.items() if value is not None}


def check_list(batches: object, chunksize: int | None, workers: int) -> int:
    """Return `chunksize`, or what it is for this list by default; raise `TypeError` for no list."""
    if not isinstance(batches, list):
        raise TypeError(
            f"batches must be a list, got {type(batches).__name__}; "
            "imap_batches takes generators and other iterables"
        )
    if chunksize is None:
        return max(1, -(-len(batches) // (CUTS_PER_WORKER * workers)))
    return whole("chunksize", chunksize, low=1)


def check_on_error(on_error: OnError) -> OnError:
    """Return it; raise `ValueError` or `TypeError` unless it is one of the three."""
    if isinstance(on_error, str):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")
    elif not callable(on_error):
        raise TypeError(f"on_error must be 'raise', 'skip' or a callable, got {on_error!r}")
    return on_error
