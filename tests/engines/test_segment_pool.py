"""Shared memory of an engine: what it costs, how long it is held, and what is done without it."""

from __future__ import annotations

import gc
import hashlib
import json
import mmap
import os
import random
import shutil
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path

import aioaug
import psutil
import pytest
import transport_testing as transport
from aioaug import AsyncPool
from aioaug._transport.segments import POSIX, Segment
from transport_testing import (
    KB,
    MB,
    all_free,
    census,
    in_a_segment,
    mapped,
    numbered,
    quiet,
    same,
    segment_pool_of,
)

HELD = 8  # results that may stay in shared memory

UNSHARE = ["unshare", "-m", "sh", "-c"]
SMALL_SHM = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'


@contextmanager
def counted(monkeypatch):
    """How often segments are made, opened and mapped meanwhile in this process."""
    calls = []
    with monkeypatch.context() as patch:
        for name in ("create", "attach"):
            original = getattr(Segment, name)
            patch.setattr(
                Segment,
                name,
                lambda *args, original=original, name=name: (calls.append(name), original(*args))[
                    1
                ],
            )
        mapped = mmap.mmap
        patch.setattr(
            "mmap.mmap",
            lambda *args, **options: (calls.append("mmap"), mapped(*args, **options))[1],
        )
        yield calls


# In the steady state nothing is made.


async def steady(pool, batches, size, every, **how):
    """Stream so many batches; returns a census of parent and worker for each `every`."""
    array = numbered(1, size)

    def source():
        for number in range(batches):
            yield array, number % every == 0 and (how or True)

    found = []
    async with pool.imap_batches(source(), output_buffer_size=3) as stream:
        async for result, worker in stream:
            assert result.size == size
            if worker is not None:
                assert same(result, array)
                found.append((census(memory=bool(how)), worker))
    return found


async def test_the_steady_state(monkeypatch):
    async with AsyncPool(transport.count, processes=1) as pool:
        await steady(pool, 100, MB, 50)
        # How many segments are in use at once depends on timing: the last may come late.
        for _ in range(segment_pool_of(pool).count):
            numbers = segment_pool_of(pool).numbers
            with counted(monkeypatch) as calls:
                found = await steady(pool, 300, MB, 10)
            if not calls:
                break
        assert calls == []
        assert segment_pool_of(pool).numbers == numbers
        assert await all_free(pool)
    # The first may see a source's thread start, and the last see it end.
    parents, workers = zip(*found, strict=True)
    assert len({worker[:3] for worker in workers}) == 1
    assert len({parent[:3] for parent in parents}) == 1
    assert parents[0].mappings == len(numbers)
    assert workers[0].mappings <= len(numbers)
    # A copy of a batch is 256 pages. The parent's share is of the comparisons made here.
    for side, limit in ((parents, 128), (workers, 20)):
        assert (side[-1].faults - side[1].faults) / 280 < limit


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [{}, {"copy": True}], ids=str)
async def test_the_steady_state_of_ten_thousand(monkeypatch, options):
    async with AsyncPool(transport.count, processes=2, **options) as pool:
        await steady(pool, 1000, 64 * KB, 100, memory=True)
        # How many segments are in use at once depends on timing: the last may come late.
        for _ in range(3):
            with counted(monkeypatch) as calls:
                found = await steady(pool, 10_000, 64 * KB, 97, memory=True)
            if not calls:
                break
        assert calls == []
        assert await all_free(pool)
    parents, _ = zip(*found, strict=True)
    pids = {worker.pid for _, worker in found}
    assert len(pids) == 2
    workers = [[worker for _, worker in found if worker.pid == pid] for pid in pids]
    for side in (parents, *workers):
        assert len({entry[:3] for entry in side[1:]}) == 1
        unshared = [entry.unshared for entry in side]
        assert max(unshared) - min(unshared) < 20 * MB


# Results that are kept.


async def test_a_thousand_kept_results():
    async with AsyncPool(transport.increase, processes=2) as pool:
        source = (numbered(number) for number in range(1000))
        results = [result async for result in pool.imap_batches(source)]
        assert segment_pool_of(pool).free >= 4  # what goes out still finds room
    assert 1 <= sum(map(in_a_segment, results)) <= HELD
    right = [same(result, numbered(number) + 1) for number, result in enumerate(results)]
    assert all(right)  # some were read from the memory of a pool that is closed
    for result in results:
        result[:] = 7
    assert all((result == 7).all() for result in results)


async def test_a_list_of_a_thousand_results():
    batches = [numbered(number) for number in range(1000)]
    async with AsyncPool(transport.increase, processes=2) as pool:
        results = await pool.map_batches(batches)
        assert all(same(r, batch + 1) for r, batch in zip(results, batches, strict=True))
        del results
        assert await all_free(pool)


# Too little memory.

DIGEST = """
import asyncio, hashlib, json, sys, warnings
sys.path[:0] = sys.argv[1:]
import aioaug, numpy, os, transport_testing

async def main():
    batches = [transport_testing.numbered(number, 12 << 20) for number in range(8)]
    async with aioaug.AsyncPool(transport_testing.increase, processes=2) as pool:
        results = await pool.map_batches(batches)
        used = sum(segment.size for segment in pool.pool._segment_pool._all.values())
    return [hashlib.sha256(result).hexdigest() for result in results], used

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    digests, used = asyncio.run(main())
shm = os.statvfs("/dev/shm")
print(json.dumps([digests, used, shm.f_blocks * shm.f_frsize, [str(w.message) for w in caught]]))
"""


def unshare_works():
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run([*UNSHARE, SMALL_SHM, "sh", "true"], capture_output=True)
    return done.returncode == 0


@pytest.mark.skipif(POSIX in os.environ, reason="it limits POSIX memory")
def test_a_small_dev_shm_does_not_matter():
    if not unshare_works():
        pytest.skip("a /dev/shm of our own is not permitted here")
    paths = [str(Path(__file__).parents[1] / "support"), str(Path(aioaug.__file__).parents[1])]
    program = [sys.executable, "-c", DIGEST, *paths]
    done = subprocess.run([*UNSHARE, SMALL_SHM, "sh", *program], capture_output=True, text=True)
    assert done.stderr == ""
    digests, used, shm, caught = json.loads(done.stdout)
    assert shm == 64 * MB
    assert used > 64 * MB
    assert caught == []
    expected = [hashlib.sha256(numbered(number, 12 * MB) + 1).hexdigest() for number in range(8)]
    assert digests == expected


async def outputs(augmenter, batches, **options):
    """The results, and the warnings that there were."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with AsyncPool(augmenter, processes=2, seed=3, **options) as pool:
            results = await pool.map_batches(batches, chunksize=1)
            again = [batch async for batch in pool.imap_batches(batches)]
            assert same(results, again)
            total = segment_pool_of(pool)._used()
        results = [result.copy() for result in results]
        del again
    return results, [(warning.category, str(warning.message)) for warning in caught], total


BATCHES = [numbered(number, 300 * KB) for number in range(20)]


async def test_too_few_bytes():
    expected, warned, _ = await outputs(transport.increase, BATCHES)
    assert warned == []
    results, warned, total = await outputs(transport.increase, BATCHES, max_bytes=100_000)
    assert same(results, expected)
    ((category, message),) = warned
    assert category is RuntimeWarning
    assert "max_bytes=100000" in message
    (size,) = (int(word) for word in message.split() if word.isdigit())
    assert size >= 2 * 300 * KB
    assert total == 0
    # Room for one segment, but not for all that are wanted: no warning, as it does its work.
    results, warned, total = await outputs(transport.increase, BATCHES, max_bytes=MB)
    assert same(results, expected)
    assert warned == []
    assert 0 < total <= MB


async def test_posix_memory_where_there_is_no_memfd(monkeypatch):
    expected, _, _ = await outputs(transport.increase, BATCHES)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    results, warned, total = await outputs(transport.increase, BATCHES)
    assert same(results, expected)
    assert warned == []
    assert total > 0


async def test_no_shared_memory(monkeypatch):
    expected, _, _ = await outputs(transport.increase, BATCHES)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setitem(sys.modules, "_posixshmem", None)
    results, warned, total = await outputs(transport.increase, BATCHES)
    assert same(results, expected)
    ((category, message),) = warned
    assert category is RuntimeWarning
    assert "no shared memory" in message
    assert total == 0


# Views and copies.


async def test_copies_own_their_memory_and_leave_the_segment_free():
    batches = [numbered(number) for number in range(40)]
    async with AsyncPool(transport.increase, processes=2, copy=True) as pool:
        results = await pool.map_batches(batches)
        assert await all_free(pool)
        assert not any(map(in_a_segment, results))
        await pool.map_batches(batches[::-1])
        assert all(same(r, batch + 1) for r, batch in zip(results, batches, strict=True))
        assert all(result.flags.writeable for result in results)


async def test_a_view_holds_its_segment_until_it_dies():
    async with AsyncPool(transport.increase, processes=1) as pool:
        segment_pool = segment_pool_of(pool)

        async def result():
            await quiet(pool.pool)
            before = segment_pool.free
            (view,) = await pool.map_batches([numbered(1)])
            await quiet(pool.pool)
            assert in_a_segment(view)
            assert segment_pool.free == before - 1
            return view

        view = await result()
        part = view[100:200].reshape(10, 10).T
        del view
        assert segment_pool.free == segment_pool.count - 1
        (other,) = await pool.map_batches([numbered(2)])
        assert same(part.T.ravel(), numbered(1)[100:200] + 1)  # nobody wrote over it
        del part, other
        assert await all_free(pool)

        held = [await result()]
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        assert segment_pool.free == segment_pool.count

        cycle = [await result()]
        cycle.append(cycle)
        gc.disable()
        try:
            del cycle
            assert segment_pool.free == segment_pool.count - 1
        finally:
            gc.enable()
        gc.collect()
        assert segment_pool.free == segment_pool.count


def segments_everywhere():
    """The bytes of all segments that this process or a child of it has mapped."""
    found = {}
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        found.update(mapped(process.pid))
    return sum(found.values())


async def test_batches_that_grow_and_shrink(monkeypatch):
    """Never more memory than max_bytes, which is scarce here."""
    limit = 4 * MB
    dice = random.Random(0)
    sizes = [int(40 * KB * 10 ** (2 * abs(n % 40 - 20) / 20 - 0.5)) for n in range(80)]
    sizes += [dice.choice([20 * KB, 200 * KB, 2 * MB]) for _ in range(80)]
    used, mapped_bytes, held = [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        async with AsyncPool(transport.increase, processes=2, max_bytes=limit) as pool:
            segment_pool = segment_pool_of(pool)
            make = segment_pool._make
            monkeypatch.setattr(
                segment_pool,
                "_make",
                lambda size: (make(size), used.append(segment_pool._used()))[0],
            )
            source = (numbered(number, size) for number, size in enumerate(sizes))
            number = 0
            async for result in pool.imap_batches(source, output_buffer_size=6):
                assert same(result, numbered(number, sizes[number]) + 1)
                number += 1
                held = [*held[-2:], result]
                if number % 8 == 0:
                    mapped_bytes.append(segments_everywhere())
                del result
            del held
            assert await all_free(pool)
            total = segment_pool._used()
    assert len(used) > 2  # it grew more than once
    assert max(used) <= limit
    assert total > limit / 4
    # An idle worker lets go of what was dropped when it gets its next batch.
    assert max(mapped_bytes) <= 2 * limit
    assert number == len(sizes)
