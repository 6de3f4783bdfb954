"""Every async test runs on asyncio and on uvloop, and no test leaves anything behind."""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import math
import multiprocessing
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import aioaug  # it mends imgaug, for tests that import that first
import anyio
import psutil
import pytest
from aioaug._base.system import affinity
from blockbuster import blockbuster_ctx

# What workers have to import by name lives here; they get the path from multiprocessing.
sys.path.insert(0, str(Path(__file__).parent / "support"))

# The start of the names of this program's semaphores, so that its own can be told from others'.
SEMAPHORES = f"mp-test-{os.getpid()}"
multiprocessing.current_process()._config["semprefix"] = f"/{SEMAPHORES}"

# The import of Albumentations would ask PyPI for news, and warn of a newer version.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

PATIENCE = 15.0  # seconds that things may take to disappear; only a leak waits that long


def pytest_asyncio_loop_factories(config, item):
    factories = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:
        pass
    else:
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Three for two CPUs: tests often wait for processes that start or end."""
    return math.ceil(affinity() * 1.5)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    _keep_pairs_quick(items)
    # Blocking twins bring a loop of their own; once is enough for them.
    items[:] = [item for item in items if not re.search(r"\[uvloop-.*blocking", item.name)]
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.fixturenames.insert(0, "no_task_left")
            item.fixturenames.append("no_blocking_calls")


def _keep_pairs_quick(items):
    """Of the tests marked `pairwise`, slow all but enough to hold each pair of values."""
    families: dict[object, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("pairwise"):
            families.setdefault(item.function, []).append(item)
    for family in families.values():
        pairs = {item: _pairs(item) for item in family}
        open_pairs = set().union(*pairs.values())
        while open_pairs:
            best = max(pairs, key=lambda item: len(pairs[item] & open_pairs))
            open_pairs -= pairs.pop(best)
        for item in pairs:
            item.add_marker(pytest.mark.slow)


def _pairs(item):
    values = [(name, repr(value)) for name, value in sorted(item.callspec.params.items())]
    return set(combinations(values, 2))


@pytest.fixture(scope="module", autouse=True)
def _old_objects_are_not_searched():
    """Else each of many `gc.collect()` searches all modules and tests: a quarter of a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _helpers_of_multiprocessing():
    """The fork server and the resource tracker live as long as the program: start them first."""
    from aioaug_testing import nothing

    async def main():
        async with aioaug.AsyncPool(nothing, processes=1) as pool:
            await pool.map_batches([1])

    asyncio.run(main())
    aioaug.run(main())  # libuv opens descriptors with its first loop, and keeps them


@pytest.fixture(autouse=True)
def no_leaks():
    """No thread, child process, descriptor or /dev/shm entry is left."""
    before = _held()
    yield
    deadline = time.monotonic() + PATIENCE
    while (left := _left(before)) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert not left, f"left behind: {left}"


@pytest.fixture
async def no_task_left():
    yield
    # A task that ends needs a few turns of the loop to be gone.
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


@pytest.fixture
def no_blocking_calls():
    """A call that blocks the event loop from inside aioaug is an error."""
    with blockbuster_ctx("aioaug") as calls:
        # Tests ask for `active_children` on the loop; it reads only what is there already.
        calls.functions["os.read"].can_block_in("engines/process/process_launch.py", "poll")
        # An inline worker stands still, and its loop with it, until a coroutine has ended.
        calls.functions["threading.Lock.acquire"].can_block_in("_worker/stages.py", "run")
        yield


@pytest.fixture(params=["aioaug", "aioaug.blocking"], ids=["async", "blocking"])
def way(request):
    """The module whose classes are tested: the async ones, or their blocking twins."""
    return importlib.import_module(request.param)


@pytest.fixture
async def start(way):
    """Builds an object of the class with a name, started, to be ended after the test."""
    from background_testing import do

    made = []

    async def build(name, *args, **kwargs):
        one = await do(getattr(way, name), *args, **kwargs)
        made.append(one)
        if hasattr(one, "start"):  # those without it are started by building them, or by their use
            await one.start()
        return one

    yield build
    for one in reversed(made):
        await do(one.shutdown if hasattr(one, "shutdown") else one.terminate)


def _held() -> dict[str, Counter]:
    me = psutil.Process()
    return {
        "threads": Counter(thread.ident for thread in threading.enumerate()),
        "children": Counter(child.pid for child in me.children(recursive=True)),
        "processes": Counter(child.pid for child in multiprocessing.active_children()),
        "descriptors": Counter(_descriptors()),
        "shm": Counter(_shared_memory()),
    }


def _shared_memory() -> Iterator[str]:
    """What this program put into /dev/shm, where things of other programs come and go."""
    for name in os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else []:
        if SEMAPHORES in name or f"aioaug-{os.getpid()}" in name:
            yield name


def _descriptors() -> Iterator[str]:
    """What descriptors lead to; a loop of libuv keeps one of /dev/null from its first stream on."""
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target != os.devnull:
                yield target


def _left(before: dict[str, Counter]) -> dict[str, Counter]:
    now = _held()
    return {kind: left for kind in now if (left := now[kind] - before[kind])}
