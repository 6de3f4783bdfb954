"""The state of a stream: which batches it pulled, and which of them its consumer got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._base.arguments import whole
from .._base.seeding import IndexAllocator


class StreamState(NamedTuple):
    """A place in a stream, to go on from.

    Batches are counted by their position among those of this rank. The consumer has got those
    before `next` and those in `ahead`; the one at position 0 has the index `first`.
    """

    seed: int
    first: int
    next: int
    ahead: tuple[int, ...]
    shard: tuple[int, int]

    @classmethod
    def load(cls, state: object) -> StreamState:
        """Out of what `BatchStream.state` returned; else `TypeError` or `ValueError`."""
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be what BatchStream.state() returned, got {state!r}")
        if set(state) != set(cls._fields):
            raise ValueError(f"state must have the keys {', '.join(cls._fields)}, got {state!r}")
        numbers = {
            name: whole(f"{name} of state", state[name], low=0)
            for name in ("seed", "first", "next")
        }
        rows = {
            name: tuple(whole(f"{name} of state", number, low=0) for number in state[name])
            for name in ("ahead", "shard")
        }
        return cls(**numbers, **rows)  # type: ignore[arg-type]

    def resume(self, indices: IndexAllocator, seed: int, shard: tuple[int, int]) -> None:
        """Have indices go on from here; `ValueError` if it is the state of another stream."""
        if self.seed != seed:
            raise ValueError(f"state is of a pool with seed={self.seed}, this one has {seed}")
        if self.shard != shard:
            raise ValueError(f"state is of shard={self.shard}, this stream is of {shard}")
        first = self.first - shard[0]
        if first < indices.next:
            raise ValueError(
                f"state is of a stream that began with batch {first}, but this pool has augmented "
                f"{indices.next} batches already: resume before anything else"
            )
        indices.next = first

    def dump(self) -> dict[str, Any]:
        """As plain numbers and lists, ready for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self._asdict().items()
        }


class DeliveryTracker:
    """Numbers the batches that a stream pulls, and remembers which of them it still owes.

    The ranks of `shard` take turns with the indices. With a state, the batches that were
    delivered before it are counted, but not wanted again; `ValueError` if it does not fit.
    `pulled` is the position of the next one that the source gives: it may leave out the first.
    """

    def __init__(
        self,
        indices: IndexAllocator,
        *,
        seed: int = 0,
        shard: tuple[int, int] = (0, 1),
        state: StreamState | None = None,
        pulled: int = 0,
    ) -> None:
        if state is not None:
            state.resume(indices, seed, shard)
        self.pulled = pulled
        self.skipped: list[int] = []  # indices of batches that failed and were left out
        self._indices = indices
        self._seed = seed
        self._shard = shard
        self._start = state.next if state is not None else 0
        self._ahead = frozenset(state.ahead if state is not None else ())
        self._first: int | None = None
        self._consecutive = True
        self._owed: dict[int, int] = {}  # position -> index
        self._final: StreamState | None = None

    @property
    def complete(self) -> bool:
        """Whether the consumer has got all that was pulled."""
        return not self._owed

    @property
    def position(self) -> int:
        """The position of the first batch that the consumer has not got."""
        return (self._final or self._state_now()).next

    def begin(self) -> None:
        """The stream begins: take the indices of the batches that its source leaves out."""
        if self.pulled:
            rank, world_size = self._shard
            self._first = self._indices.allocate(self.pulled * world_size) + rank

    def pull(self) -> int | None:
        """Count a batch in; its index, or `None` if it is not wanted again."""
        rank, world_size = self._shard
        position, self.pulled = self.pulled, self.pulled + 1
        index = self._indices.allocate(world_size) + rank
        if self._first is None:
            self._first = index
        self._consecutive &= index == self._first + position * world_size
        if position < self._start or position in self._ahead:
            return None
        self._owed[position] = index
        return index

    def deliver(self, position: int, *, skipped: bool = False) -> None:
        """The consumer has got this one, or it is left out."""
        index = self._owed.pop(position)
        if skipped:
            self.skipped.append(index)

    def wanted_from(self, position: int) -> int:
        """The first position from this one on that is wanted."""
        position = max(position, self._start)
        while position in self._ahead:
            position += 1
        return position

    def end(self) -> None:
        """Nothing more will be delivered; indices that nobody got are given back."""
        self._final = self._state_now()
        rank, world_size = self._shard
        while self._owed:
            self._indices.give_back(self._owed.popitem()[1] - rank, world_size)

    def state(self) -> dict[str, Any]:
        """The place where another run would have to go on."""
        if not self._consecutive:
            raise RuntimeError(
                "this stream cannot be resumed: the pool augmented other batches meanwhile, "
                "so that its own have no consecutive indices"
            )
        return (self._final or self._state_now()).dump()

    def _state_now(self) -> StreamState:
        rank, _ = self._shard
        start = min(self._owed, default=max(self.pulled, self._start))
        later = (*range(start, self.pulled), *(at for at in self._ahead if at >= self.pulled))
        ahead = tuple(at for at in sorted(later) if at not in self._owed)
        first = self._indices.next + rank if self._first is None else self._first
        return StreamState(self._seed, first, start, ahead, self._shard)
