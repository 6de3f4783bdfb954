"""Figures out of rounds: medians and quartiles, how much faster aioaug is, and the targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .peers import EXECUTOR, OURS, PEERS, POOL, SERIAL, TORCH

Round = Mapping[str, Any]  # what a trial tells, or {"error": "..."}
Spread = dict[str, float]


def spread(values: Sequence[float]) -> Spread | None:
    """Median and quartiles, or `None` if there is nothing."""
    if not values:
        return None
    if len(values) == 1:
        q1 = median = q3 = values[0]
    else:
        q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3}


def speedup(ours: Sequence[Round], theirs: Sequence[Round]) -> Spread | None:
    """How many times faster we are: the spread of the ratios of rounds that ran side by side."""
    name = "batches_per_s"
    pairs = zip(ours, theirs, strict=False)
    return spread([a[name] / b[name] for a, b in pairs if a.get(name) and b.get(name)])


def summary(rounds: Sequence[Round], ours: Sequence[Round]) -> dict[str, Any]:
    """All figures of one way with one workload."""
    good = [each for each in rounds if "error" not in each]
    errors = [each["error"] for each in rounds if "error" in each]

    def column(name: str) -> list[float]:
        return [each[name] for each in good if each.get(name) is not None]

    return {
        "error": errors[0] if errors else None,
        "batches_per_s": spread(column("batches_per_s")),
        "ms_per_batch": spread([1e3 / rate for rate in column("batches_per_s")]),
        "speedup": speedup(ours, rounds),
        "first_s": spread(column("first_s")),
        "peak_mib": spread(column("peak_mib")),
        "memory": next((each["memory"] for each in good if each.get("memory")), None),
        "latency_p50_ms": spread(column("latency_p50_ms")),
        "latency_p99_ms": spread(column("latency_p99_ms")),
        "lag_p50_ms": spread(column("lag_p50_ms")),
        "lag_p99_ms": spread(column("lag_p99_ms")),
        "lag_max_ms": spread(column("lag_max_ms")),
        "lag_worst_ms": max(column("lag_max_ms"), default=None),
        "rounds": list(rounds),
    }


def summaries(rounds: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    """The summary of each way with one workload."""
    ours = rounds.get(OURS, [])
    return {way: summary(each, ours) for way, each in rounds.items()}


@dataclass(frozen=True)
class Target:
    """Something that aioaug sets out to reach: faster than a peer, or an event loop less late."""

    workload: str
    figure: str
    limit: float
    peer: str = OURS
    way: str = OURS  # what is measured

    @property
    def pair(self) -> tuple[str, str]:
        """What is compared."""
        return self.way, self.peer

    @property
    def about(self) -> str:
        """What is compared, in words."""
        if self.way != OURS:
            return f"{self.workload}: {PEERS[self.way].title}, over {PEERS[self.peer].title}"
        if self.peer == OURS:
            name = {"lag_p99_ms": "99th percentile", "lag_max_ms": "maximum"}[self.figure]
            return f"{self.workload}: lag of the event loop, {name}"
        return f"{self.workload}: speed, over {PEERS[self.peer].title}"

    def judge(self, workloads: Mapping[str, Any]) -> dict[str, Any]:
        """The target, what was measured, and whether that will do; `None` if nothing was."""
        ways = workloads.get(self.workload, {}).get("ways", {})
        measured = ways.get(self.peer, {}).get(self.figure)
        if self.way != OURS:
            measured = speedup(*(ways.get(name, {}).get("rounds", ()) for name in self.pair))
        at_least = self.pair != (OURS, OURS)
        met = None
        if measured:
            median = measured["median"]
            met = median >= self.limit if at_least else median <= self.limit
        return {
            "about": self.about,
            "unit": "times" if at_least else "ms",
            "at_least" if at_least else "at_most": self.limit,
            "measured": measured,
            "met": met,
        }


TARGETS = (
    Target("identity", "speedup", 10, POOL),
    Target("flip", "speedup", 10, POOL),
    Target("identity", "speedup", 2, TORCH),
    Target("flip", "speedup", 2, TORCH),
    Target("typical", "speedup", 1.9, SERIAL),
    Target("typical", "speedup", 1.25, POOL),
    Target("typical-albumentations", "speedup", 1.15, TORCH),
    *(
        Target("files", "speedup", 1.3, peer)
        for peer in ("torch-pillow", "torch-albumentations", "spdl-shared", "grain")
    ),
    Target("tutorial-close", "speedup", 40, POOL),
    Target("train", "speedup", 1.3, "torch-train"),
    Target("train", "speedup", 1.3, "torchvision-train"),
    Target("tiny", "speedup", 2, POOL),
    Target("tiny-16", "speedup", 1, POOL),
    Target("large", "lag_p99_ms", 5),
    Target("large", "lag_max_ms", 20),
    *(Target(f"buffer-{window}", "speedup", 1.5, POOL) for window in (4, 8)),
    *(Target(f"buffer-{window}", "speedup", 2, POOL) for window in (16, 64)),
    Target("list-3000", "speedup", 1.3, POOL),
    Target("requests-tiny-1", "speedup", 1.8, EXECUTOR),
    *(Target(f"requests-tiny-{tasks}", "speedup", 1.3, EXECUTOR) for tasks in (10, 100)),
    *(Target(f"requests-usual-{tasks}", "speedup", 2, EXECUTOR) for tasks in (1, 10, 100)),
    *(Target(f"requests-full-hd-{tasks}", "speedup", 12, EXECUTOR) for tasks in (1, 10, 100)),
    Target("requests-full-hd-10", "lag_p99_ms", 5),
    Target("typical", "speedup", 0.7, OURS, "dask"),
    Target("typical", "speedup", 1, "dask-map", "dask"),
    Target("typical", "speedup", 1, "ray-tasks", "ray"),
)


def judged(workloads: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All targets of the workloads that were run; those of clusters where these were, too."""
    return [
        target.judge(workloads)
        for target in TARGETS
        if target.workload in workloads and _concerns(target, workloads[target.workload]["ways"])
    ]


def _concerns(target: Target, ways: Mapping[str, Any]) -> bool:
    if PEERS[target.way].engine:
        return target.way in ways
    return not any(way in ways for way, peer in PEERS.items() if peer.engine)
