"""pool.stats(): counts, and the name of the stage that holds up the rest."""

from __future__ import annotations

import asyncio
import re
import time

import aioaug_testing as aug
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug import AsyncPool
from aioaug.stats import Meter


@pytest.fixture(params=["process", "thread", "inline"])
def engine(request):
    return request.param


async def test_counts(engine):
    async with AsyncPool(aug.Failing(), processes=2, engine=engine) as pool:
        assert pool.stats().batches == 0
        await pool.map_batches([1, 2, 3])
        stream = pool.imap_batches([1, "value_error", 3])
        await anext(stream)
        with pytest.raises(ValueError, match="spoilt"):
            await anext(stream)
        await stream.aclose()
        stats = pool.stats()
    assert (stats.batches, stats.failures) == (5, 1)
    assert stats.elapsed > 0
    assert set(stats.seconds) == {"source", "staging", "queue", "worker", "result", "consumer"}


async def test_bytes_copies_and_segments():
    arrays = [np.zeros(1 << 20, np.uint8) for _ in range(20)]
    async with AsyncPool(aug.nothing, processes=1) as pool:
        kept = await pool.map_batches(arrays, chunksize=1)
        stats = pool.stats()
        assert stats.bytes == 40 << 20
        assert stats.segments + stats.copies == 20
        assert 0 < stats.segments < stats.segments_at_most
        del kept
        while pool.stats().segments:  # a thread may just be letting go of the last
            await asyncio.sleep(0.005)


async def test_a_slow_source_is_named(engine):
    def source():
        for number in range(5):
            time.sleep(0.05)
            yield number

    async with AsyncPool(aug.nothing, processes=2, engine=engine) as pool:
        assert [n async for n in pool.imap_batches(source())] == list(range(5))
        assert pool.stats().bottleneck == "source"


@pytest.mark.parametrize("engine", ["process", "thread"])
async def test_slow_workers_are_named(engine):
    async with AsyncPool(aug.slow, processes=2, engine=engine) as pool:
        await pool.map_batches(list(range(20)))
        assert pool.stats().bottleneck == "worker"
        assert pool.stats().elapsed >= 0.02 * 20 / 2
        assert pool.stats().seconds["worker"] >= 20 * 0.02


async def test_a_slow_consumer_is_named(engine):
    async with AsyncPool(aug.nothing, processes=2, engine=engine) as pool:
        async for _ in pool.imap_batches(range(5), output_buffer_size=3):
            await asyncio.sleep(0.05)
        assert pool.stats().bottleneck == "consumer"


async def test_each_augmenter_is_measured_when_asked(engine):
    images = np.random.default_rng(2).integers(0, 256, (2, 40, 40, 3), np.uint8)
    tree = iaa.Sequential(
        [iaa.Fliplr(0.5), iaa.PiecewiseAffine(0.03), iaa.Sometimes(0.5, iaa.Add(9))]
    )
    results = []
    for profile in (False, True):
        async with AsyncPool(tree, 2, seed=1, engine=engine, profile=profile) as pool:
            listed = await pool.map_batches([images] * 5)
            streamed = [batch async for batch in pool.imap_batches([images] * 5)]
            results.append([*listed, *streamed, await pool.augment_batch(images)])
            stats = pool.stats()
            assert bool(stats.augmenters) is profile
    np.testing.assert_array_equal(*results)
    assert next(iter(stats.augmenters)) == "PiecewiseAffine"
    assert set(stats.augmenters) >= {"Sequential", "Fliplr", "Sometimes", "Add"}
    assert sum(stats.augmenters.values()) <= stats.seconds["worker"]
    assert re.search("^in PiecewiseAffine ", str(stats), re.MULTILINE)


def test_only_imgaugs_augmenters_are_measured():
    with pytest.raises(TypeError, match=r"profile: only .* got function; leave it out$"):
        AsyncPool(aug.nothing, profile=True)


def test_a_table_when_printed_and_in_a_notebook():
    meter = Meter(batches=1234, bytes=5 << 20, skipped=[3, 7])
    meter.seconds["worker"] = 12.3456
    stats = meter.stats(2, 1, 3, 12)
    lines = str(stats).splitlines()
    rows = {tuple(re.split("  +", line)) for line in lines}
    assert {("batches", "1,234"), ("segments", "3 of 12"), ("in worker", "12.346 s")} < rows
    assert {("workers busy", "1 of 2"), ("request p50, p99", "-, -")} < rows
    assert lines[-1].split() == ["bottleneck", "worker"]
    assert len({len(line) for line in lines}) == 1
    assert repr(stats).startswith("Stats(batches=1234,")
    html = stats._repr_html_()
    assert html.startswith("<table><tr><th>batches</th><td>1,234</td></tr>")
    assert html.count("<tr>") == html.count("</tr>") == len(lines)
