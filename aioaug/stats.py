"""Where the time goes: counts and seconds of each stage, and which of them holds up the rest."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

STAGES = ("source", "staging", "queue", "worker", "result", "consumer")


@dataclass(frozen=True)
class Stats:
    """What a pool has done so far.

    `seconds` holds, for each stage, the time that batches spent in it, added up over batches and
    workers: `source` waiting for the source, `staging` packing, `queue` waiting for a worker,
    `worker` being augmented, `result` unpacking, `consumer` in the hands of whoever iterates.
    `elapsed` is the time during which there was a stream or list under way. `bytes` are those of
    arrays that went through shared memory, in both directions; `copies` counts results that were
    copied out of it, `skipped` are the indices of batches that failed and were left out,
    `segments` those pieces of it that are in use, out of `segments_at_most`.

    Printed, and in a notebook, it is a table.
    """

    batches: int
    failures: int
    bytes: int
    copies: int
    skipped: tuple[int, ...]
    segments: int
    segments_at_most: int
    workers: int
    elapsed: float
    seconds: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """The stage that was busy for the largest share of the time, in one word."""
        at_once = {"source": 1, "staging": 1, "worker": self.workers, "result": 1, "consumer": 1}
        return max(at_once, key=lambda stage: self.seconds[stage] / at_once[stage])

    def __str__(self) -> str:
        rows = self._rows()
        left, right = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(f"{name:<{left}}  {value:>{right}}" for name, value in rows)

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in self._rows())
        return f"<table>{''.join(rows)}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("batches", f"{self.batches:,}"),
            ("failures", f"{self.failures:,}"),
            ("skipped", f"{len(self.skipped):,}"),
            ("bytes", f"{self.bytes:,}"),
            ("copies", f"{self.copies:,}"),
            ("segments", f"{self.segments} of {self.segments_at_most}"),
            ("workers", f"{self.workers}"),
            ("elapsed", f"{self.elapsed:.3f} s"),
            *((f"in {stage}", f"{seconds:.3f} s") for stage, seconds in self.seconds.items()),
            ("bottleneck", self.bottleneck),
        ]


@dataclass
class Meter:
    """Counts and adds up, for `Stats`. Used from the event loop only."""

    batches: int = 0
    failures: int = 0
    bytes: int = 0
    copies: int = 0
    skipped: list[int] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    _under_way: int = 0
    _since: float = 0.0
    _elapsed: float = 0.0

    def begin(self) -> None:
        """A stream or list begins."""
        if not self._under_way:
            self._since = time.perf_counter()
        self._under_way += 1

    def end(self) -> None:
        """A stream or list has ended."""
        self._under_way -= 1
        if not self._under_way:
            self._elapsed += time.perf_counter() - self._since

    def since(self, begun: float, stage: str) -> None:
        """Add the time since `begun`, of `time.perf_counter`, to a stage."""
        self.seconds[stage] += time.perf_counter() - begun

    def stats(self, workers: int, segments: int, segments_at_most: int) -> Stats:
        """The figures as they are now."""
        running = time.perf_counter() - self._since if self._under_way else 0.0
        return Stats(
            batches=self.batches,
            failures=self.failures,
            bytes=self.bytes,
            copies=self.copies,
            skipped=tuple(self.skipped),
            segments=segments,
            segments_at_most=segments_at_most,
            workers=workers,
            elapsed=self._elapsed + running,
            seconds=dict(self.seconds),
        )
