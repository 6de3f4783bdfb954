"""What the scheduler and the workers of Dask run for an engine; this needs `distributed`."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

from dask.utils import key_split
from distributed import SchedulerPlugin, WorkerPlugin

from ..._worker import parcels
from .dask_channel import serve

# After so many calls the scheduler forgets their names, which it would keep for 100,000 of them.
_NAMES_KEPT = 500


class StatePlugin(WorkerPlugin):  # type: ignore[misc]
    """Holds the state in each worker, also in those that join later, and says when it is there.

    Unpickling it imports aioaug, which makes imgaug work on the worker's NumPy first.
    """

    def __init__(self, token: str, topic: str, state: bytes) -> None:
        self.token = token
        self.topic = topic
        self.state = state

    async def setup(self, worker: Any) -> None:
        # Where Dask estimates sizes it draws samples, in the thread of the worker's loop: a batch
        # that draws from the program's generator meanwhile would miss the numbers that it took.
        module = sys.modules["dask.sizeof"]
        if getattr(module, "random", None) is random:
            module.__dict__["random"] = random.Random()
        # It may take seconds, during which the worker has to answer others.
        await asyncio.to_thread(parcels.keep_state, self.token, self.state)
        worker.handlers[self.topic] = serve
        worker.log_event(self.topic, {"action": "ready", "worker": worker.address})

    async def teardown(self, worker: Any) -> None:
        worker.handlers.pop(self.topic, None)
        await asyncio.to_thread(parcels.drop_state, self.token)


class WorkerWatch(SchedulerPlugin):  # type: ignore[misc]
    """Tells an engine of workers that leave, and cleans up after a program that was killed."""

    def __init__(self, topic: str, client: str, plugin: str) -> None:
        self.topic = topic
        self.client = client
        self.plugin = plugin
        self.name = f"{plugin}-watch"
        self.scheduler: Any = None
        self._named = 0
        self._cleaning: asyncio.Task[None] | None = None

    async def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        scheduler.log_event(self.topic, {"action": "left", "worker": worker})

    def log_event(self, topic: str, msg: Any) -> None:
        if isinstance(msg, dict) and msg.get("action") == "worker-status-change":
            status = {"action": "status", "worker": topic, "status": msg["status"]}
            self.scheduler.log_event(self.topic, status)

    def update_graph(self, scheduler: Any, *, keys: set[str], **_: Any) -> None:
        """Drop what Dask has just noted of a call: it would keep that for as long as it runs."""
        spans = scheduler.extensions.get("spans")
        for key in keys:
            task = scheduler.tasks.get(key)
            if spans is None or task is None or not str(key).startswith(self.topic):
                continue
            span = spans.spans.get(task.group.span_id)
            if span is not None and span.metadata and span.metadata["collections"]:
                span.metadata["collections"].pop()
        self._named += len(keys)
        # What Dask has found out about the names of tasks; no two calls have the same name.
        if self._named > _NAMES_KEPT and hasattr(key_split, "cache_clear"):
            self._named = 0
            key_split.cache_clear()

    def remove_client(self, scheduler: Any, client: str) -> None:
        if client == self.client:
            self._cleaning = asyncio.ensure_future(self._clean_up(scheduler))

    async def _clean_up(self, scheduler: Any) -> None:
        scheduler.plugins.pop(self.name, None)
        if self.plugin in scheduler.worker_plugins:
            await scheduler.unregister_worker_plugin(None, self.plugin)
