"""Batches through shared memory: what comes back, what it costs, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import aioaug
import aioaug_testing as aug
import imgaug.augmenters as iaa
import numpy as np
import psutil
import pytest
import transport_testing as transport
from aioaug import AsyncPool
from aioaug._transport.segments import Segment
from aioaug.engines import ProcessEngine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from imgaug.augmentables import (
    BoundingBox,
    BoundingBoxesOnImage,
    HeatmapsOnImage,
    Keypoint,
    KeypointsOnImage,
    LineString,
    LineStringsOnImage,
    Polygon,
    PolygonsOnImage,
    SegmentationMapsOnImage,
)
from imgaug.augmentables.batches import Batch
from transport_testing import census, in_a_segment, mapped, numbered, same

KB, MB = 1 << 10, 1 << 20
HELD = 8  # results that may stay in shared memory

UNSHARE = ["unshare", "-m", "sh", "-c"]
SMALL_SHM = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'


def segment_pool_of(pool):
    return pool.pool._segment_pool


async def quiet(engine):
    """Wait until no worker has work, and everything that came back is dropped."""
    while engine._scheduler.busy:
        await asyncio.sleep(0.005)
    for _ in range(5):
        await asyncio.sleep(0.005)
    gc.collect()


async def all_free(pool):
    await quiet(pool.pool)
    segment_pool = segment_pool_of(pool)
    return segment_pool.free == segment_pool.count


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


# 1. Any object comes back as it was.

DTYPES = [
    "u1",
    "i2",
    ">u4",
    "i8",
    "f2",
    "f4",
    "f8",
    "c8",
    "c16",
    "?",
    "M8[ms]",
    "m8[s]",
    "S7",
    "U3",
]
STRUCTURED = [np.dtype([("a", "u1"), ("b", "f4", (2,))]), np.dtype([("x", "?"), ("y", "c8")])]
LAYOUTS = {
    "C": lambda array: array,
    "F": np.asfortranarray,
    "reversed": lambda array: array[::-1] if array.ndim else array,
    "strided": lambda array: array[..., ::2] if array.ndim else array,
    "transposed": lambda array: array.T,
    "repeated": lambda array: np.broadcast_to(array, (2, *array.shape)),
}
SHAPES = [(), (0,), (5, 0, 3), (1,), (4095,), (4096,), (4097,), (64, 64, 3), (3, 40, 50), (70000,)]


@st.composite
def arrays(draw):
    dtype = np.dtype(draw(st.sampled_from([*DTYPES, *STRUCTURED, "O"])))
    shape = draw(st.sampled_from(SHAPES))
    size = int(np.prod(shape))
    if dtype.hasobject:
        array = np.array([None, *range(size)], "O")[1:].reshape(shape)
    else:
        dice = np.random.default_rng(draw(st.integers(0, 99)))
        data = dice.integers(0, 2 if "?" in str(dtype) else 100, size * dtype.itemsize, np.uint8)
        array = data.view(dtype).reshape(shape) if size else np.zeros(shape, dtype)
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    if not dtype.isnative or dtype.names:
        layout = "C"  # NumPy forgets the byte order of others when it pickles them
    array = LAYOUTS[layout](array)
    if draw(st.booleans()):
        array.flags.writeable = False
    return array


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.just(b"x" * 100_000)
)
OBJECTS = st.recursive(
    PLAIN | arrays(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def every_column():
    shape = (64, 80, 3)
    corners = [(1.5, 2), (30, 4), (20, 40)]
    columns = {
        "images": numbered(1, 2 * 64 * 80 * 3).reshape(2, *shape),
        "heatmaps": HeatmapsOnImage(numbered(2, 64 * 80).reshape(64, 80) / np.float32(255), shape),
        "segmentation_maps": SegmentationMapsOnImage(numbered(3, 64 * 80).reshape(64, 80), shape),
        "keypoints": KeypointsOnImage([Keypoint(x, y) for x, y in corners], shape),
        "bounding_boxes": BoundingBoxesOnImage([BoundingBox(1, 2, 30, 40, label="a")], shape),
        "polygons": PolygonsOnImage([Polygon(corners)], shape),
        "line_strings": LineStringsOnImage([LineString(corners)], shape),
    }
    columns = {
        name: column if name == "images" else [column, column] for name, column in columns.items()
    }
    return Batch(**columns, data={"names": ["a", "b"], "more": numbered(4)})


@pytest.mark.parametrize("options", [{}, {"copy": True}, {"max_bytes": 0}], ids=str)
async def test_any_object_comes_back_as_it_was(options):
    """With memory, with copies, and without memory: there is no difference to be seen."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of max_bytes
        async with AsyncPool(aug.nothing, processes=1, **options) as pool:

            @settings(
                deadline=None,
                database=None,
                max_examples=80,
                suppress_health_check=list(HealthCheck),
            )
            @given(OBJECTS)
            @example(list(range(200_000)))
            @example([numbered(number, 5000) for number in range(300)])
            @example(every_column())
            def check(value):
                call = asyncio.run_coroutine_threadsafe(pool.map_batches([value]), loop)
                (result,) = call.result()
                assert same(result, value)
                check_flags(result, value)

            def work():
                try:
                    check()
                except BaseException as error:
                    loop.call_soon_threadsafe(done.set_exception, error)
                else:
                    loop.call_soon_threadsafe(done.set_result, None)

            thread = threading.Thread(target=work)
            thread.start()
            await done
            thread.join()


def check_flags(result, value):
    """Order is kept, and so is the right to write; nobody else may write to a result."""
    if isinstance(value, np.ndarray):
        for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS"):
            assert result.flags[flag] or not value.flags[flag]
        assert result.flags.writeable or not value.flags.writeable
        assert not np.shares_memory(result, value)
        if result.flags.writeable and result.size:
            result[...] = result[...].copy()
    elif isinstance(value, (list, tuple)):
        for one, other in zip(result, value, strict=True):
            check_flags(one, other)
    elif isinstance(value, dict):
        for key in value:
            check_flags(result[key], value[key])


@pytest.mark.parametrize("options", [{}, {"copy": True}])
async def test_an_array_shared_twice_stays_one(options):
    array = numbered(1)
    async with AsyncPool(transport.aliased, processes=1, **options) as pool:
        ((one, batch),) = await pool.map_batches([[array, array]])
        assert one
        assert batch[0] is batch[1]
        assert same(batch[0], array)
        ((one, batch),) = await pool.map_batches([[array, array.copy()]])
        assert not one
        batch[0][:] = 0
        assert same(batch[1], array)


# 2. In the steady state nothing is made.


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
        with counted(monkeypatch) as calls:
            found = await steady(pool, 10_000, 64 * KB, 97, memory=True)
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


# 3. Results that are kept.


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


KILLED = """
import asyncio, multiprocessing, os, sys
multiprocessing.current_process()._config["semprefix"] = "/" + sys.argv[1]
sys.path[:0] = sys.argv[2:]
import aioaug, numpy, psutil, transport_testing

async def main():
    array = numpy.ones(1 << 20, numpy.uint8)

    def source():
        while True:
            yield array

    async with aioaug.AsyncPool(transport_testing.doze, processes=2) as pool:
        held, count = [], 0
        async for batch in pool.imap_batches(source(), output_buffer_size=12):
            held = [*held[-5:], batch]
            count += 1
            if count == 30:
                children = psutil.Process().children(recursive=True)
                print(*(child.pid for child in children), flush=True)

asyncio.run(main())
"""


def kill_in_mid_stream(count):
    """SIGKILL so many programs in mid-stream, one after the other; nothing is left of any."""
    paths = [str(Path(__file__).parents[1] / "support"), str(Path(aioaug.__file__).parents[1])]
    for number in range(count):
        name = f"mp-test-{os.getpid()}-{number}"
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, name, *paths], stdout=subprocess.PIPE, text=True
        ) as program:
            try:
                pids = program.stdout.readline().split()
                family = [psutil.Process(int(pid)) for pid in pids]
                assert len(family) >= 3  # two workers and what started them
                holders = [child for child in family if list(mapped(child.pid))]
                assert len(holders) == 2
                time.sleep(0.01 * (number % 5))
            finally:
                program.kill()
            assert program.wait() == -signal.SIGKILL
        deadline = time.monotonic() + 2
        while (left := remains(family, name)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left


def remains(processes, name):
    left = [entry for entry in os.listdir("/dev/shm") if name in entry or "aioaug" in entry]
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except psutil.NoSuchProcess:
            pass
    return left


def test_nothing_is_left_of_a_killed_program():
    kill_in_mid_stream(5)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_is_left_of_twenty_killed_programs():
    kill_in_mid_stream(20)


# 4. Too little memory.

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


async def test_no_memfd(monkeypatch):
    expected, _, _ = await outputs(transport.increase, BATCHES)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    results, warned, total = await outputs(transport.increase, BATCHES)
    assert same(results, expected)
    ((category, message),) = warned
    assert category is RuntimeWarning
    assert "memfd_create" in message
    assert total == 0


# 5. Views and copies.


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


# 6. Results of other sizes.


async def test_results_of_other_sizes():
    sizes = [5 * 100 * KB, 500 * KB, 500 * KB, 3 * KB, 0, 100 * KB, MB, 500 * KB, 5000]
    batches = [(numbered(number, 100 * KB), size) for number, size in enumerate(sizes)]
    async with AsyncPool(transport.as_large_as_asked, processes=1) as pool:
        where = []
        for _ in range(2):
            for array, size in batches:
                (result,) = await pool.map_batches([(array, size)])
                assert same(result, np.resize(array, size))
                where.append(in_a_segment(result))
                del result
        assert await all_free(pool)
    assert where[0] is False  # it found too little room, and made it for those after it
    assert where[9:] == [size > 4096 for size in sizes]


async def test_results_five_times_as_large():
    async with AsyncPool(transport.five_times, processes=2) as pool:
        results = await pool.map_batches(BATCHES)
        assert all(same(r, np.tile(batch, 5)) for r, batch in zip(results, BATCHES, strict=True))
        assert any(map(in_a_segment, results))


async def test_one_large_result_does_not_spoil_the_rest():
    """What a small batch with a large result needs says nothing of large batches."""
    small, large = (numbered(1, 5000), MB), (numbered(2, MB), MB)
    async with AsyncPool(transport.as_large_as_asked, processes=1) as pool:
        await pool.map_batches([small])
        (result,) = await pool.map_batches([large])
        assert same(result, large[0])
        assert in_a_segment(result)
        assert segment_pool_of(pool)._used() <= 10 * MB


async def test_large_results_of_calls_that_bring_no_arrays():
    async with AsyncPool(aug.large, processes=1) as pool:
        where = []
        for size in [MB, MB, 500 * KB, 3 * MB, 3 * MB, 10, MB]:
            (result,) = await pool.map_batches([size])
            assert same(result, np.zeros(size, np.uint8))
            where.append(in_a_segment(result))
            del result
        assert await all_free(pool)
    # The first of a size tells how much room there should be.
    assert where == [False, True, True, False, True, False, True]


async def test_what_workers_hold_does_not_come_back(tmp_path):
    async with AsyncPool(transport.SaysWhenUnpickled(tmp_path), processes=1) as pool:
        await pool.map_batches([1])
    (name,) = [file.name for file in sorted(tmp_path.iterdir())]
    assert name != str(os.getpid())


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


# 7. and 8. What augmenters do to their input.


async def test_what_an_augmenter_keeps_never_changes():
    async with AsyncPool(transport.keep, processes=1) as pool:
        segment_pool = segment_pool_of(pool)
        for number in range(200):
            ((sums, result),) = await pool.map_batches([numbered(number)])
            assert same(result, numbered(number))
            assert in_a_segment(result) == (number >= 5)
            del result
        assert sums == [int(numbered(number).sum()) for number in range(5)]
        assert not segment_pool.numbers & set(range(1, 6))  # they were retired, and others made
        assert 1 <= len(segment_pool.numbers) <= 2
        assert await all_free(pool)


async def test_an_augmenter_that_keeps_the_last_batch():
    async with AsyncPool(transport.keep_and_forget, processes=1) as pool:
        for number in range(50):
            (result,) = await pool.map_batches([numbered(number)])
            assert same(result, numbered(number))
        (worker,) = (
            child for child in psutil.Process().children(recursive=True) if list(mapped(child.pid))
        )
        assert len(list(mapped(worker.pid))) <= 3  # it let go of the others
        assert await all_free(pool)


@pytest.mark.parametrize("options", [{}, {"copy": True}, {"max_bytes": 0}], ids=str)
async def test_changes_in_place_stay_in_the_worker(options):
    batches = [numbered(number) for number in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of max_bytes
        async with AsyncPool(transport.increase, processes=2, **options) as pool:
            results = await pool.map_batches(batches)
    assert all(same(r, batch + 1) for r, batch in zip(results, batches, strict=True))
    assert all(same(batch, numbered(number)) for number, batch in enumerate(batches))


# 9. and 10. Cancelled, killed.


@pytest.mark.parametrize("copy", [False, True])
async def test_cancelling_at_random_points(copy):
    dice = random.Random(1)
    array = numbered(1, MB)
    async with AsyncPool(transport.doze, processes=2, copy=copy) as pool:
        segment_pool = segment_pool_of(pool)
        cancelled = 0
        for _ in range(30):
            calls = [asyncio.create_task(pool.map_batches([array])) for _ in range(10)]
            dice.shuffle(calls)
            for call in calls:
                await asyncio.sleep(dice.choice([0, 0, 0.001, 0.003]))
                if dice.random() < 0.8:
                    call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            for result in results:
                if isinstance(result, asyncio.CancelledError):
                    cancelled += 1
                else:
                    assert same(result[0], array + 1)
            del results, calls, result
        await quiet(pool.pool)
        assert cancelled > 100
        assert segment_pool.free == segment_pool.count
        assert not pool.pool._scheduler.busy
        assert same(await pool.map_batches([array] * 4), [array + 1] * 4)


async def test_cancelling_in_the_moment_of_the_answer(monkeypatch):
    """The answer is there, and the task that waits for it is cancelled before it goes on."""
    array = numbered(1, 100 * KB)
    async with ProcessEngine(transport.State(), workers=1) as engine:
        calls, end = [], engine._scheduler._end

        def end_and_cancel(*args):
            end(*args)
            calls[-1].cancel()

        monkeypatch.setattr(engine._scheduler, "_end", end_and_cancel)
        for _ in range(20):
            calls.append(asyncio.create_task(engine.submit(transport.echo, array)))
            with pytest.raises(asyncio.CancelledError):
                await calls[-1]
        await quiet(engine)
        assert engine._segment_pool.free == engine._segment_pool.count


async def test_cancelling_while_the_answer_waits_to_be_copied():
    array = numbered(1, 100 * KB)
    async with ProcessEngine(transport.State(), workers=1, copy=True) as engine:
        unpack = engine._transport.unpack
        loop = asyncio.get_running_loop()

        async def unpack_later(*args):
            for _ in range(2):
                engine._threads.submit(time.sleep, 0.02)  # both threads have other things to do
            loop.call_later(0.005, call.cancel)
            return await unpack(*args)

        engine._transport.unpack = unpack_later
        for _ in range(12):
            call = asyncio.create_task(engine.submit(transport.echo, array))
            with pytest.raises(asyncio.CancelledError):
                await call
        await asyncio.sleep(0.05)
        await quiet(engine)
        assert engine._segment_pool.free == engine._segment_pool.count


@pytest.mark.parametrize("chunksize", [1, 4])
async def test_a_worker_that_dies_with_a_segment_in_hand(tmp_path, chunksize):
    numbers = [2, 3, 11, 30]
    batches = [(number, numbered(number)) for number in range(40)]
    augmenter = transport.DiesOnce(str(tmp_path), numbers)
    async with AsyncPool(augmenter, processes=2) as pool:
        segment_pool = segment_pool_of(pool)
        results = await pool.map_batches(batches, chunksize)
        assert sorted(int(path.name) for path in tmp_path.iterdir()) == numbers
        assert same(results, [(number, array + 1) for number, array in batches])
        made = segment_pool.numbers
        del results
        assert await all_free(pool)
        await pool.map_batches(batches, chunksize)
        assert (
            chunksize > 1 or segment_pool.numbers >= made
        )  # the dead worker's are as good as others
        assert await all_free(pool)


async def test_small_batches_share_messages_and_stay_on_the_light_path():
    """Their results are small, too, although many of them come together."""
    images = np.zeros((1, 32, 32, 3), np.uint8)
    async with AsyncPool(iaa.Identity(), processes=1, seed=1) as pool:
        async with pool.imap_batches([images] * 400, output_buffer_size=200) as stream:
            async for _ in stream:
                pass
        assert pool.pool.small_calls.packs_on_loop
        assert pool.pool._transport._result_sizes.without_arrays == 0
        assert pool.stats().bytes == 0
