"""Figures of an app for Prometheus, by prometheus-client; without it there are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._aio.lag import LoopLag
from .._base.optional import need
from ..errors import MissingExtra
from ..pool import AsyncPool

_EVERY = 0.25  # seconds between two looks at the lag of the event loop
_PREFIX = "aioaug_"


class WebMetrics:
    """Counts requests and frames, and reads the pool's figures when it is asked.

    Each app has a registry of its own, so several of them in one process do not mix.
    """

    def __init__(self) -> None:
        client = self._client = need("prometheus_client", extra="metrics")
        self._registry = registry = client.CollectorRegistry()
        self.latency = client.Histogram(
            f"{_PREFIX}request_seconds",
            "Seconds until a request was answered",
            ("route", "status"),
            registry=registry,
        )
        self.open = client.Gauge(
            f"{_PREFIX}streams_open", "Streams and websockets that are open", registry=registry
        )
        self.dropped = client.Counter(
            f"{_PREFIX}frames_dropped", "Frames that slow clients missed", registry=registry
        )
        self.lag = client.Histogram(
            f"{_PREFIX}loop_lag_seconds",
            "By how much the event loop was late",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1),
            registry=registry,
        )
        self._latencies: dict[tuple[str, int], Any] = {}
        self._loop_lag: LoopLag | None = None
        self._figures: PoolFigures | None = None

    def note_answer(self, route: str, status: int, seconds: float) -> None:
        """A request was answered, so many seconds after it came."""
        counted = self._latencies.get((route, status))
        if counted is None:  # the client makes strings of the labels each time that it is asked
            counted = self._latencies[route, status] = self.latency.labels(route, status)
        counted.observe(seconds)

    def start(self, pool: AsyncPool) -> None:
        """Begin to look at the event loop that runs, and at a pool."""
        self._figures = PoolFigures(pool, need("prometheus_client.core", extra="metrics"))
        self._registry.register(self._figures)
        self._loop_lag = LoopLag(_EVERY, self.lag.observe)

    def stop(self) -> None:
        """End that."""
        if self._loop_lag is not None:
            self._loop_lag.stop()
        if self._figures is not None:
            self._registry.unregister(self._figures)

    def text(self) -> tuple[bytes, str]:
        """The figures as Prometheus reads them, and their media type."""
        return self._client.generate_latest(self._registry), self._client.CONTENT_TYPE_LATEST


class PoolFigures:
    """The figures of a pool's `stats`, as a collector of prometheus-client."""

    def __init__(self, pool: AsyncPool, core: Any) -> None:
        self._pool = pool
        self._core = core

    def collect(self) -> Iterator[Any]:
        """Called for each scrape."""
        stats, core = self._pool.stats(), self._core
        gauges = ("workers", "busy", "waiting", "running", "segments", "segments_at_most")
        for name in gauges:
            family = core.GaugeMetricFamily(f"{_PREFIX}{name}", f"See Stats.{name}")
            family.add_metric([], getattr(stats, name))
            yield family
        for name in ("batches", "failures", "refused", "abandoned", "killed", "bytes"):
            family = core.CounterMetricFamily(f"{_PREFIX}{name}", f"See Stats.{name}")
            family.add_metric([], getattr(stats, name))
            yield family
        if not self._pool.closed:
            # Other engines than that of processes have no workers that are started anew.
            family = core.CounterMetricFamily(
                f"{_PREFIX}restarts", "Worker processes that were replaced"
            )
            family.add_metric([], getattr(self._pool.pool, "restarts", 0))
            yield family
        family = core.CounterMetricFamily(
            f"{_PREFIX}stage_seconds", "Seconds of all batches in a stage", labels=["stage"]
        )
        for stage, seconds in stats.seconds.items():
            family.add_metric([stage], seconds)
        yield family


def web_metrics() -> WebMetrics | MissingExtra:
    """The figures of an app, or what says how to install what they need."""
    try:
        return WebMetrics()
    except MissingExtra as error:
        return error
