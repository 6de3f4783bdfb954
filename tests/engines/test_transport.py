"""What is sent to workers comes back as it was, large or small, whatever they do to it."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings

import aioaug_testing as aug
import imgaug.augmenters as iaa
import numpy as np
import psutil
import pytest
import transport_testing as transport
from aioaug import AsyncPool
from aioaug._base import threads
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
from transport_testing import (
    KB,
    MB,
    all_free,
    in_a_segment,
    mapped,
    numbered,
    same,
    segment_pool_of,
)

# Any object comes back as it was.

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


# Results of other sizes.


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
    batches = [numbered(number, 300 * KB) for number in range(20)]
    async with AsyncPool(transport.five_times, processes=2) as pool:
        results = await pool.map_batches(batches)
        assert all(same(r, np.tile(batch, 5)) for r, batch in zip(results, batches, strict=True))
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


# What augmenters do to their input.


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


async def test_small_batches_share_messages_and_stay_on_the_light_path():
    """Their results are small, too, although many of them come together."""
    images = np.zeros((1, 32, 32, 3), np.uint8)
    async with AsyncPool(iaa.Identity(), processes=1, seed=1) as pool:
        async with pool.imap_batches([images] * 400, output_buffer_size=200) as stream:
            async for _ in stream:
                pass
        assert pool.pool.small_calls.pickles_on_loop
        assert pool.pool._transport._result_sizes.without_arrays == 0
        assert pool.stats().bytes == 0


async def test_a_thread_that_is_late_keeps_no_segment(monkeypatch):
    """When the caller has dropped a result, its memory is free, whatever a thread still does."""
    go_on, run = threading.Event(), threads._run

    def late(*call):
        run(*call)
        go_on.wait(30)

    batch = np.zeros((8, 100, 100, 3), np.uint8)
    async with AsyncPool(iaa.Identity(), 1, seed=1) as pool:
        await pool.augment_batch(batch)
        engine = pool._life.engine
        engine.small_calls.pickles_on_loop, engine.small_calls.unpacks_on_loop = True, False
        monkeypatch.setattr(threads, "_run", late)
        try:
            result = await pool.augment_batch(batch)
            assert engine.segments[0] == 1
            del result
            await asyncio.sleep(0)
            assert engine.segments[0] == 0
        finally:
            go_on.set()
