"""Where the time goes: counts and seconds of each stage, and which of them holds up the rest."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

# Times of so many requests are kept.
_LATENCIES = 1000
STAGES = ("source", "staging", "queue", "worker", "result", "consumer")


@dataclass(frozen=True)
class Stats:
    """What a pool has done so far.

    `seconds` holds, for each stage, the time that batches spent in it, added up over batches and
    workers: `source` waiting for the source, `staging` packing, `queue` waiting for a worker or
    for room in shared memory, `worker` being augmented, `result` unpacking, `consumer` in the
    hands of whoever iterates. `elapsed` is the time during which there was a stream, list or
    request under way, `streamed` the times of all streams added up. `bytes` are those of arrays
    that went through shared memory, in both directions; `copies` counts results that were copied
    out of it, `skipped` are the indices of batches that failed and were left out, `segments` those
    pieces of it that are in use, out of `segments_at_most`.

    Of requests for single batches, `waiting` have no worker yet, and `running` have one. `p50` and
    `p99` are the seconds that half, and 99 of 100, of the last 1,000 did not exceed, `None` if
    there was none; `refused` counts those that `max_waiting` did not let in. `busy` workers have
    something to do; for some it may be work that nobody waits for any more: `abandoned` counts
    all of that, and `killed` the workers that `abandon_after` ended for it.

    `augmenters` are the seconds that each of imgaug's augmenters worked by itself, without those
    inside it, the slowest first, and those of the pool's `load` and `dump`; it is empty unless the
    pool was built with `profile=True`.

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
    busy: int
    elapsed: float
    streamed: float
    seconds: dict[str, float]
    waiting: int
    running: int
    p50: float | None
    p99: float | None
    refused: int
    abandoned: int
    killed: int
    augmenters: dict[str, float] = field(default_factory=dict)

    @property
    def bottleneck(self) -> str:
        """The stage that was busy for the largest share of its time, in one word."""
        # Each stream has a source and a consumer of its own; the other stages are all streams'.
        whole = {
            "source": self.streamed,
            "staging": self.elapsed,
            "worker": self.elapsed * self.workers,
            "result": self.elapsed,
            "consumer": self.streamed,
        }
        return max(whole, key=lambda stage: self.seconds[stage] / (whole[stage] or 1.0))

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
            ("workers busy", f"{self.busy} of {self.workers}"),
            ("requests waiting", f"{self.waiting:,}"),
            ("requests running", f"{self.running:,}"),
            ("requests refused", f"{self.refused:,}"),
            ("request p50, p99", f"{_milliseconds(self.p50)}, {_milliseconds(self.p99)}"),
            ("work abandoned", f"{self.abandoned:,}"),
            ("workers killed", f"{self.killed:,}"),
            ("elapsed", f"{self.elapsed:.3f} s"),
            *((f"in {stage}", f"{seconds:.3f} s") for stage, seconds in self.seconds.items()),
            ("bottleneck", self.bottleneck),
            *((f"in {name}", f"{seconds:.3f} s") for name, seconds in self.augmenters.items()),
        ]


class RequestCounts:
    """How many requests wait for a worker and have one, and how long the last ones took."""

    def __init__(self) -> None:
        self.waiting = 0
        self.running = 0
        self.seconds: deque[float] = deque(maxlen=_LATENCIES)

    def percentile(self, percent: int) -> float | None:
        """The time that so many percent of the last requests did not exceed, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[(len(ordered) - 1) * percent // 100] if ordered else None


class RequestCount:
    """Counts one request, from its beginning to its end."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._counts = meter.requests
        self._counts.waiting += 1
        self._running = False
        meter.begin(stream=False)

    def run(self) -> None:
        """A worker has it; again, if it has to be tried again."""
        if not self._running:
            self._running = True
            self._counts.waiting -= 1
            self._counts.running += 1

    def leave(self, seconds: float) -> None:
        """It took so long, or was cancelled after that time."""
        if self._running:
            self._counts.running -= 1
        else:
            self._counts.waiting -= 1
        self._counts.seconds.append(seconds)
        self._meter.end(stream=False)


@dataclass
class Meter:
    """Counts and adds up, for `Stats`. Used from the event loop only."""

    batches: int = 0
    failures: int = 0
    bytes: int = 0
    copies: int = 0
    refused: int = 0
    abandoned: int = 0
    killed: int = 0
    skipped: list[int] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    requests: RequestCounts = field(default_factory=RequestCounts)
    augmenters: dict[str, float] = field(default_factory=dict)
    _under_way: int = 0
    _streams: int = 0
    _since: float = 0.0
    _elapsed: float = 0.0
    _streamed: float = 0.0

    def begin(self, *, stream: bool = True) -> None:
        """A stream, or something else, begins."""
        self._add_up()
        self._under_way += 1
        self._streams += stream

    def end(self, *, stream: bool = True) -> None:
        """The same has ended."""
        self._add_up()
        self._under_way -= 1
        self._streams -= stream

    def since(self, begun: float, stage: str) -> None:
        """Add the time since `begun`, of `time.perf_counter`, to a stage."""
        self.seconds[stage] += time.perf_counter() - begun

    def add_augmenters(self, seconds: dict[str, float]) -> None:
        """Augmenters worked so many seconds more."""
        for name, more in seconds.items():
            self.augmenters[name] = self.augmenters.get(name, 0.0) + more

    def stats(self, workers: int, busy: int, segments: int, segments_at_most: int) -> Stats:
        """The figures as they are now."""
        self._add_up()
        requests = self.requests
        return Stats(
            batches=self.batches,
            failures=self.failures,
            bytes=self.bytes,
            copies=self.copies,
            skipped=tuple(self.skipped),
            segments=segments,
            segments_at_most=segments_at_most,
            workers=workers,
            busy=busy,
            elapsed=self._elapsed,
            streamed=self._streamed,
            seconds=dict(self.seconds),
            waiting=requests.waiting,
            running=requests.running,
            p50=requests.percentile(50),
            p99=requests.percentile(99),
            refused=self.refused,
            abandoned=self.abandoned,
            killed=self.killed,
            augmenters=dict(sorted(self.augmenters.items(), key=lambda item: -item[1])),
        )

    def _add_up(self) -> None:
        now = time.perf_counter()
        if self._under_way:
            self._elapsed += now - self._since
            self._streamed += self._streams * (now - self._since)
        self._since = now


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.1f} ms"
