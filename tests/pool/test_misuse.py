"""What newcomers write: the last line that they see says what is right, and the rest is short."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys

import aioaug
import aioaug_testing as aug
import pytest
from aioaug import AsyncPool, BackgroundAugmenter, BackgroundProc, BatchLoader, SharedQ
from programs_testing import PATIENCE, environment

BLOCKING = "a program without an event loop uses the classes of aioaug.blocking"


async def double(batch):
    return 2 * batch


async def several(batch):
    yield batch


class Doubles:
    async def __call__(self, batch):
        return 2 * batch


def things():
    pool = AsyncPool(aug.nothing, processes=1, engine="inline")
    yield pool
    yield pool.imap_batches([1])
    yield pool.pool
    yield BatchLoader([1])
    yield BackgroundAugmenter([1], aug.nothing, nb_workers=1)
    yield BackgroundProc(aug.nothing)
    yield SharedQ()


def test_with_in_the_place_of_async_with():
    for thing in things():
        name = type(thing).__name__
        with pytest.raises(TypeError, match=f"an? {name} is entered by 'async with'; {BLOCKING}$"):
            with thing:
                pass


def test_for_in_the_place_of_async_for():
    pool = AsyncPool(aug.nothing, processes=1, engine="inline")
    for batches in (pool.imap_batches([1]), BatchLoader([1])):
        with pytest.raises(TypeError, match=f"is read by 'async for'; {BLOCKING}$"):
            list(batches)


async def test_a_stream_that_is_awaited():
    async with AsyncPool(aug.nothing, processes=1, engine="inline") as pool:
        with pytest.raises(TypeError, match="is not awaited: its batches are read by 'async for"):
            await pool.imap_batches([1])


async def test_two_tasks_that_read_one_stream():
    async with AsyncPool(aug.sleep_for, processes=1, engine="thread") as pool:
        async with pool.imap_batches([0.1, 0.1]) as stream:
            first = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="have one task read the stream and share its"):
                await anext(stream)
            assert await first == 0.1


async def test_run_where_a_loop_runs():
    with pytest.raises(RuntimeError, match="write 'await main\\(\\)' instead of"):
        aioaug.run(double(1))  # nobody is warned that it was never awaited


@pytest.mark.parametrize("augmenter", [double, several, Doubles(), functools.partial(double)])
def test_async_functions_for_workers(augmenter):
    for build in (
        lambda: AsyncPool(augmenter),
        lambda: BackgroundProc(augmenter),
        lambda: SharedQ().startproc([float], [(1,)], augmenter),
        lambda: BatchLoader([1], load=augmenter),
    ):
        with pytest.raises(TypeError, match=r"must not be async, got .* an ordinary function$"):
            build()
    AsyncPool(Doubles)  # a class is called here, and not its objects


def test_where_no_event_loop_of_asyncio_runs():
    """As under trio, whose loop drives a coroutine just so."""
    pool = AsyncPool(aug.nothing, processes=1, engine="inline")
    stream = pool.imap_batches([1])
    loader = BatchLoader([1])
    calls = [
        pool.__aenter__(),
        pool.map_batches([1]),
        anext(stream),
        aioaug.augment_batches(aug.nothing, [1]).__anext__(),
        loader.start(),
        BackgroundAugmenter([1], aug.nothing).get_batch(),
        BackgroundProc(aug.nothing).get(),
        loader.get_batch(),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"needs a running event loop of asyncio: .* trio$"):
            call.send(None)
    with pytest.raises(RuntimeError, match="needs a running event loop of asyncio"):
        pool.map_batches_async([1])


UNGUARDED = """
import asyncio
import aioaug

def twice(batch):
    return 2 * batch

async def main():
    async with aioaug.AsyncPool(twice, 2) as pool:
        print(await pool.map_batches([1, 2, 3]))

asyncio.run(main())
"""


def test_a_main_program_that_workers_cannot_import(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, lines.count("Traceback (most recent call last):")) == (1, 1)
    assert lines[-1].endswith("put what the script does under: if __name__ == '__main__':")
    assert len(lines) < 30
