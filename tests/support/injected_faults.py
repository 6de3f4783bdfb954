"""Runs what a pool does, again and again, with one call to the system failing at another place.

`python injected_faults.py here FUNCTION LOOP WHICH [DEED ...]` prints one line of JSON for each
run: the deed, the number of the call that failed, how it ended, and what it left behind. WHICH
are numbers of calls, as `1,3`, or `all` of a clean run, or `on` for all calls from some number on.
With `workers` in the place of `here`, the calls of the fork server and of each worker are meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import json
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import sys
import threading
import time
import warnings
from collections import Counter

import aioaug_testing as aug
import numpy as np
import psutil
from aioaug import AsyncPool, ClosedError, blocking
from faults import FAULT, Fault

BOUND = 60.0  # seconds in which every run has to end, however busy the machine is
PATIENCE = 15.0  # seconds that things may take to disappear; only a leak waits that long
COUNT = 12


def batches():
    return [np.full(100_000, number, np.uint8) for number in range(COUNT)]


def numbers(results):
    return [int(result[0]) for result in results]


WHOLE = list(range(1, COUNT + 1))


async def stream():
    async with AsyncPool(aug.plus_one, processes=2, maxtasksperchild=3) as pool:
        async with pool.imap_batches(iter(batches()), output_buffer_size=4) as results:
            return numbers([batch async for batch in results]) == WHOLE


async def listed():
    async with AsyncPool(aug.plus_one, processes=2) as pool:
        return numbers(await pool.map_batches(batches(), chunksize=2)) == WHOLE


async def cancelled():
    async with AsyncPool(aug.plus_one, processes=2) as pool:
        call = pool.map_batches_async(batches())
        call.add_done_callback(lambda call: call.cancelled() or call.exception())
        async with pool.imap_batches(iter(batches())) as results:
            first = await anext(results)
            call.cancel()
            await asyncio.wait((call,))
            return numbers([first]) == WHOLE[:1]


async def closed():
    return await _left(AsyncPool.close)


async def terminated():
    return await _left(AsyncPool.terminate)


async def _left(end):
    pool = AsyncPool(aug.plus_one, processes=2)
    try:
        results = pool.imap_batches(iter(batches()))
        first = await anext(results)
    finally:
        await end(pool)
    with contextlib.suppress(ClosedError, StopAsyncIteration):
        await anext(results)
    return numbers([first]) == WHOLE[:1]


async def blocked():
    """A program without a loop of its own; here in a thread, since this one watches it."""
    return await _in_thread(_blocking)


def _blocking():
    with blocking.Pool(aug.plus_one, processes=2) as pool:
        return numbers(pool.map_batches(batches())) == WHOLE


async def threaded():
    async with AsyncPool(aug.plus_one, processes=2, engine="thread") as pool:
        async with pool.imap_batches(iter(batches())) as results:
            return numbers([batch async for batch in results]) == WHOLE


DEEDS = (stream, listed, cancelled, closed, terminated, blocked, threaded)


async def _in_thread(fn):
    done = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def work():
        try:
            result, error = fn(), None
        except Exception as caught:
            result, error = None, caught
        loop.call_soon_threadsafe(
            lambda: done.set_result(result) if error is None else done.set_exception(error)
        )

    _start(threading.Thread(target=work))
    return await done


_start = threading.Thread.start


async def ending(deed):
    """How the deed ends: right, wrong, with an error, or not at all."""
    faulthandler.dump_traceback_later(2 * BOUND, exit=True)  # should the loop stand still
    task = asyncio.ensure_future(deed())
    done, _ = await asyncio.wait((task,), timeout=BOUND)
    faulthandler.cancel_dump_traceback_later()
    if not done:
        # The workers that it left would keep the next run's fork server from ending.
        report(deed, -1, "hang", {})
        faulthandler.dump_traceback()
        os._exit(1)
    error = task.exception()
    if error is None:
        return "right" if task.result() else "wrong"
    return f"{type(error).__name__}: {error}"


def held():
    """What this program has now, but for its own helpers of multiprocessing."""
    kinds = Counter()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            kinds[os.readlink(f"/proc/self/fd/{name}").split(":")[0]] += 1
    kinds["threads"] = threading.active_count()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                kinds["processes"] += 1
    return kinds


def left(before):
    deadline = time.monotonic() + PATIENCE
    while (more := held() - before) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    return dict(more)


def forget_helpers():
    """Have the next pool start a fork server and a resource tracker, as the first one did."""
    multiprocessing.forkserver._forkserver._stop()
    multiprocessing.resource_tracker._resource_tracker._stop()


def chosen(which, calls):
    if which == "all":
        return [(number, number) for number in range(1, calls + 1)]
    if which == "on":
        return [(number, sys.maxsize) for number in range(1, calls + 1, 3)]
    return [(number, number) for number in map(int, which.split(","))]


async def here(name, which, deeds):
    fault = Fault(name)
    for deed in deeds:
        with fault.at(0, -1):
            report(deed, 0, await ending(deed), {})  # and libuv has opened what it keeps
            if name == "program":
                forget_helpers()
                await ending(deed)
        before = held()
        for first, last in chosen(which, fault.calls):
            if name == "program":
                forget_helpers()
            with fault.at(first, last):
                ended = await ending(deed)
            report(deed, first, ended, left(before))


async def workers(name, which, deeds):
    for deed in deeds:
        report(deed, 0, await ending(deed), {})
        before = held()
        for first, last in chosen(which, 4):
            os.environ[FAULT] = f"{name}:{first}:{last}"
            forget_helpers()
            ended = await ending(deed)
            del os.environ[FAULT]
            report(deed, first, ended, left(before))
            forget_helpers()


def report(deed, number, ended, more):
    print(json.dumps([deed.__name__, number, ended, more]), flush=True)


def main():
    where, name, loop, which, *names = sys.argv[1:]
    work = {"here": here, "workers": workers}[where]
    deeds = [deed for deed in DEEDS if not names or deed.__name__ in names]
    warnings.simplefilter("ignore", RuntimeWarning)  # without shared memory, batches are copied
    if loop == "uvloop":
        import uvloop

        uvloop.run(work(name, which, deeds))
    else:
        sys.modules["uvloop"] = None  # the loop of blocking programs would be one of its own
        asyncio.run(work(name, which, deeds))


if __name__ == "__main__":
    main()
