"""Timeouts, failing batches, recycling, resuming, sharding."""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import signal

import aioaug_testing as aug
import numpy as np
import pytest
from aioaug import AsyncPool, BatchTimeout, ClosedError, TransportError
from aioaug._base.seeding import IndexAllocator
from aioaug._streaming.state import DeliveryTracker, StreamState
from hypothesis import given, settings
from hypothesis import strategies as st

ENGINES = ["process", "thread", "inline"]


async def take(stream, count=None):
    got = []
    async with stream:
        while count is None or len(got) < count:
            try:
                got.append(await anext(stream))
            except StopAsyncIteration:
                break
    return got


# timeouts


async def test_a_batch_that_takes_too_long_fails_alone():
    async with AsyncPool(aug.sleep_for, processes=2, timeout=0.4, retries=0) as pool:
        stream = pool.imap_batches([0, 60, 0, 0])
        assert await anext(stream) == 0
        with pytest.raises(BatchTimeout, match=r"took more than 0.4 s augmenting batch 1") as info:
            await anext(stream)
        assert (info.value.seconds, info.value.index) == (0.4, 1)
        assert isinstance(info.value, TimeoutError)
        assert await take(stream) == [0, 0]


async def test_only_the_worker_that_is_late_is_replaced():
    async with AsyncPool(aug.pid_of_or_sleep, processes=2, timeout=0.4, retries=0) as pool:
        before = set(await pool.map_batches([0] * 20, chunksize=1))
        with pytest.raises(BatchTimeout):
            await pool.map_batches([60])
        after = {child.pid for child in multiprocessing.active_children()}
        await pool.map_batches([0] * 20, chunksize=1)
        after |= {child.pid for child in multiprocessing.active_children()}
    assert len(before & after) == 1


async def test_in_a_chunk_the_others_are_done_again():
    async with AsyncPool(aug.sleep_for, processes=1, timeout=0.3, retries=0) as pool:
        stream = pool.imap_batches([0, 60, 0], chunksize=3, output_buffer_size=3)
        assert await anext(stream) == 0
        with pytest.raises(BatchTimeout):
            await anext(stream)
        assert await take(stream) == [0]


async def test_a_batch_may_be_late_once(tmp_path):
    augmenter = aug.LateOnce(str(tmp_path / "late"))
    async with AsyncPool(augmenter, processes=1, timeout=0.5, seed=3) as pool:
        late = await pool.map_batches([1, 2])
    async with AsyncPool(augmenter, processes=1, seed=3) as pool:
        assert late == await pool.map_batches([1, 2])


async def test_a_late_batch_that_nobody_waits_for_is_killed_too():
    async with AsyncPool(aug.sleep_for, processes=1, timeout=0.3) as pool:
        call = asyncio.create_task(pool.map_batches([60]))
        await asyncio.sleep(0.1)
        call.cancel()
        assert await asyncio.wait_for(pool.map_batches([0]), 20) == [0]


# what becomes of failures


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunksize", [1, 3])
@pytest.mark.parametrize("ordered", [True, False])
async def test_skipping(engine, chunksize, ordered):
    batches = ["value_error" if number % 4 == 1 else number for number in range(20)]
    async with AsyncPool(aug.Failing(), 2, engine=engine, on_error="skip") as pool:
        imap = pool.imap_batches if ordered else pool.imap_batches_unordered
        stream = imap(iter(batches), chunksize, output_buffer_size=3)
        got = await take(stream)
        assert sorted(got) == [number for number in range(20) if number % 4 != 1]
        assert sorted(stream.skipped) == [1, 5, 9, 13, 17]
        assert await pool.map_batches(["value_error", 7]) == [7]
        stats = pool.stats()
        assert sorted(stats.skipped) == [1, 5, 9, 13, 17, 20]
        assert (stats.failures, stats.batches) == (6, 16)


async def test_all_batches_fail():
    async with AsyncPool(aug.Failing(), 1, on_error="skip") as pool:
        stream = pool.imap_batches(["value_error"] * 9, output_buffer_size=1)
        assert await take(stream) == []
        assert stream.skipped == tuple(range(9))
        assert await pool.map_batches(["value_error"]) == []


async def test_dead_workers_are_skipped_after_the_retries():
    async with AsyncPool(aug.Failing(), 2, retries=1, on_error="skip") as pool:
        assert await pool.map_batches([1, "killed", 2, 3]) == [1, 2, 3]
        assert pool.stats().skipped == (1,)


async def substitute(index, batch, error):
    await asyncio.sleep(0)
    return index, batch, str(error)


def no_substitute(index, batch, error):
    raise LookupError(f"no substitute for {index}") from error


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_handler(engine):
    batches = [0, "value_error", 2]
    async with AsyncPool(aug.Failing(), 1, engine=engine, on_error=substitute) as pool:
        assert await pool.map_batches(batches) == [0, (1, "value_error", "spoilt batch"), 2]
        assert pool.stats().failures == 1
    async with AsyncPool(aug.Failing(), 1, engine=engine, on_error=no_substitute) as pool:
        with pytest.raises(LookupError, match="no substitute for 1") as info:
            await pool.map_batches(batches)
        assert isinstance(info.value.__cause__, ValueError)
    async with AsyncPool(aug.Failing(), 1, engine=engine, on_error=lambda *_: None) as pool:
        assert await pool.map_batches(batches) == [0, 2]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timeout": 0}, ValueError, "timeout must be more than 0"),
        ({"timeout": float("nan")}, ValueError, "timeout"),
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds, got '1'"),
        ({"on_error": "ignore"}, ValueError, "on_error .* got 'ignore'"),
        ({"on_error": None}, TypeError, "on_error"),
        ({"max_worker_memory": 0}, ValueError, "max_worker_memory must be at least 1"),
        ({"timeout": 1, "engine": "thread"}, ValueError, "timeout: only for workers that are proc"),
        ({"max_worker_memory": 9, "engine": "inline"}, ValueError, "max_worker_memory: only"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        AsyncPool(aug.nothing, **options)


# recycling


@pytest.mark.parametrize("ordered", [True, False])
async def test_recycling_keeps_order_and_count(ordered):
    async with AsyncPool(aug.pid_and_batch, processes=2, maxtasksperchild=3) as pool:
        imap = pool.imap_batches if ordered else pool.imap_batches_unordered
        got = await take(imap(iter(range(60)), output_buffer_size=8))
    numbers = [number for _, number in got]
    assert numbers == list(range(60)) if ordered else sorted(numbers) == list(range(60))
    pids = [pid for pid, _ in got]
    assert max(pids.count(pid) for pid in set(pids)) == 3
    assert len(set(pids)) >= 20


async def test_the_next_worker_is_up_before_the_old_one_leaves():
    async with AsyncPool(aug.sleep_and_tell, processes=1, maxtasksperchild=2) as pool:
        await pool.map_batches([0.0])
        work = asyncio.create_task(pool.map_batches([1.0]))
        # The last task of the worker: the next one comes while it is at it.
        async with asyncio.timeout(20):
            while len(multiprocessing.active_children()) < 2:
                await asyncio.sleep(0.01)
        assert not work.done()
        await work


async def test_a_worker_that_grows_is_replaced():
    limit = 300 << 20
    async with AsyncPool(aug.Hoarder(), processes=1, max_worker_memory=limit) as pool:
        got = await take(pool.imap_batches(iter(range(30)), output_buffer_size=2))
    assert [number for _, number, _ in got] == list(range(30))
    pids = list(dict.fromkeys(pid for pid, _, _ in got))
    assert len(pids) > 1
    assert len({pid for pid, _, _ in got}) == len(pids)
    assert max(hoarded for _, _, hoarded in got) < 30


async def test_a_next_worker_that_cannot_start_is_told_when_it_is_needed(tmp_path):
    switch = tmp_path / "broken"
    async with AsyncPool(aug.BreaksLater(str(switch)), processes=1, maxtasksperchild=1) as pool:
        assert await pool.map_batches([1]) == [1]
        switch.touch()
        got = await asyncio.gather(
            *(pool.map_batches([number]) for number in range(4)), return_exceptions=True
        )
        assert any(isinstance(each, TransportError) for each in got)
        switch.unlink()
        await asyncio.gather(*(pool.map_batches([n]) for n in range(4)), return_exceptions=True)
        assert await pool.map_batches([5]) == [5]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("ordered", [True, False])
async def test_recycling_often(ordered):
    async with AsyncPool(aug.pid_and_batch, processes=2, maxtasksperchild=3) as pool:
        imap = pool.imap_batches if ordered else pool.imap_batches_unordered
        got = await take(imap(iter(range(600)), output_buffer_size=8))
    numbers = [number for _, number in got]
    assert (numbers if ordered else sorted(numbers)) == list(range(600))


# deaths


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_soak():
    """A random worker is killed every 50 batches, and nobody can tell from the output."""
    async with AsyncPool(aug.with_rng_and_rest, processes=2, seed=1) as pool:
        clean = await take(pool.imap_batches(iter(range(1000)), output_buffer_size=8))
    random = np.random.default_rng(0)
    got = []
    async with AsyncPool(aug.with_rng_and_rest, processes=2, seed=1) as pool:
        async with pool.imap_batches(iter(range(1000)), output_buffer_size=8) as stream:
            async for batch in stream:
                got.append(batch)
                if len(got) % 50 == 0:
                    children = multiprocessing.active_children()
                    os.kill(children[random.integers(len(children))].pid, signal.SIGKILL)
    assert got == clean


# resuming


async def run_until(k, *, total, ordered, engine, workers, state=None, window=5):
    """Takes `k` results, or all; returns them and the state then."""
    # Batches that take different times come out of order; inline they only block the loop.
    augmenter = aug.with_rng if engine == "inline" else aug.with_rng_and_rest
    async with AsyncPool(augmenter, workers, seed=5, engine=engine) as pool:
        imap = pool.imap_batches if ordered else pool.imap_batches_unordered
        stream = imap(iter(range(total)), output_buffer_size=window, state=state)
        got = await take(stream, k)
        kept = json.loads(json.dumps(stream.state()))
        after = await pool.map_batches([0])
    return got, kept, after


async def check_resume(ks, *, total, ordered, workers, engine="process"):
    options = {"total": total, "ordered": ordered, "engine": engine, "workers": workers}
    whole, _, after = await run_until(None, **options)
    for k in ks:
        first, state, _ = await run_until(k, **options)
        second, _, after_resumed = await run_until(None, **options, state=state)
        if ordered:
            assert first + second == whole
        else:
            assert sorted(first + second) == sorted(whole)
        assert after_resumed == after


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(("engine", "workers"), [("process", 3), ("thread", 3), ("inline", 1)])
async def test_resume(ordered, engine, workers):
    ks = range(0, 13, 4) if engine == "process" else range(13)
    await check_resume(ks, total=12, ordered=ordered, workers=workers, engine=engine)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
async def test_resume_everywhere(ordered, workers):
    ks = range(workers, 201, 16)
    await check_resume(ks, total=200, ordered=ordered, workers=workers)


async def test_resume_is_of_the_second_epoch_too():
    async def epochs(pool, state=None):
        stream = pool.imap_batches(range(6), state=state)
        return await take(stream)

    async with AsyncPool(aug.with_rng, 1, seed=5) as pool:
        await epochs(pool)
        second = await epochs(pool)
    async with AsyncPool(aug.with_rng, 1, seed=5) as pool:
        await epochs(pool)
        stream = pool.imap_batches(range(6))
        begun = await take(stream, 2)
        state = stream.state()
    assert state == {"seed": 5, "first": 6, "next": 2, "ahead": [], "shard": [0, 1]}
    async with AsyncPool(aug.with_rng, 1, seed=5) as pool:
        assert begun + await epochs(pool, state) == second


async def test_resumed_twice_and_to_the_end():
    options = {"total": 10, "ordered": False, "engine": "process", "workers": 3}
    whole, _, _ = await run_until(None, **options)
    got, state, _ = await run_until(3, **options)
    for k in (2, 0, 4, None, None):
        more, state, _ = await run_until(k, **options, state=state)
        got += more
    assert sorted(got) == sorted(whole)
    assert (state["next"], state["ahead"]) == (10, [])


async def test_skipped_batches_are_not_tried_again():
    batches = [0, "value_error", 2, "value_error", 4]
    async with AsyncPool(aug.Failing(), 1, seed=1, on_error="skip") as pool:
        stream = pool.imap_batches(batches)
        assert await take(stream, 2) == [0, 2]
        state = stream.state()
    async with AsyncPool(aug.Failing(), 1, seed=1, on_error="skip") as pool:
        stream = pool.imap_batches(batches, state=state)
        assert await take(stream) == [4]
        assert stream.skipped == (3,)


async def test_states_that_do_not_fit():
    async with AsyncPool(aug.nothing, 1, seed=1) as pool:
        stream = pool.imap_batches([1, 2])
        state = stream.state()
        assert await take(stream) == [1, 2]
        with pytest.raises(ValueError, match="resume before anything else"):
            pool.imap_batches([1, 2], state=state)
        with pytest.raises(ValueError, match="seed=2, this one has 1"):
            pool.imap_batches([1], state={**state, "seed": 2})
        with pytest.raises(ValueError, match=r"shard=\(0, 1\), this stream is of \(1, 2\)"):
            pool.imap_batches([1], state=state, shard=(1, 2))
        with pytest.raises(TypeError, match="state must be what"):
            pool.imap_batches([1], state=3)
        with pytest.raises(ValueError, match="keys"):
            pool.imap_batches([1], state={"seed": 1})
        with pytest.raises(ValueError, match="next of state"):
            pool.imap_batches([1], state={**state, "next": -1})


async def test_streams_side_by_side_cannot_be_resumed():
    async with AsyncPool(aug.nothing, 1) as pool:
        async with pool.imap_batches(range(9), output_buffer_size=1) as one:
            async with pool.imap_batches(range(9), output_buffer_size=1) as other:
                for _ in range(3):
                    await anext(one)
                    await anext(other)
                with pytest.raises(RuntimeError, match="cannot be resumed"):
                    one.state()


@given(
    count=st.integers(0, 30),
    world=st.integers(1, 4),
    data=st.data(),
)
@settings(max_examples=60)
def test_progress_is_what_was_delivered(count, world, data):
    """Delivering in any order, stopping and going on anywhere: each batch once, with its index."""
    rank = data.draw(st.integers(0, world - 1))
    wanted = {position: position * world + rank for position in range(count)}
    bookmark = None
    for _ in range(data.draw(st.integers(1, 5))):
        indices = IndexAllocator()
        # A source that is read by number leaves out what was delivered before.
        first = bookmark.next if bookmark is not None and data.draw(st.booleans()) else 0
        progress = DeliveryTracker(
            indices, seed=1, shard=(rank, world), state=bookmark, pulled=first
        )
        progress.begin()
        pulled = data.draw(st.integers(first, max(first, count)))
        owed = {}
        for position in range(first, pulled):
            index = progress.pull()
            if index is not None:
                owed[position] = index
        delivered = data.draw(st.sets(st.sampled_from(sorted(owed)))) if owed else set()
        for position in delivered:
            assert wanted.pop(position) == owed[position]
            progress.deliver(position)
        assert progress.complete == (not owed.keys() - delivered)
        progress.end()
        state = progress.state()
        assert json.loads(json.dumps(state)) == state
        bookmark = StreamState.load(state)
        assert set(wanted) == {
            position
            for position in range(count)
            if position >= bookmark.next and position not in bookmark.ahead
        }


# sharding


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", [0, 5, 6, 7])
@pytest.mark.parametrize("window", [1, None])
async def test_shards(engine, count, window):
    async with AsyncPool(aug.with_rng, 2, seed=5, engine=engine) as pool:
        whole = await pool.map_batches(list(range(count)))
    shares = []
    for rank in range(3):
        async with AsyncPool(aug.with_rng, 2, seed=5, engine=engine) as pool:
            source = iter(range(count))
            stream = pool.imap_batches(source, output_buffer_size=window, shard=(rank, 3))
            shares.append(await take(stream))
            # All ranks have come equally far, so the next epoch fits together as well.
            shares[-1].append(await pool.map_batches([0]))
    assert len({len(share) for share in shares}) == 1
    assert len({repr(share.pop()) for share in shares}) == 1
    together = [batch for group in zip(*shares, strict=True) for batch in group]
    assert together == whole[: count // 3 * 3]


async def test_a_shard_is_resumed():
    shard = (1, 2)
    async with AsyncPool(aug.with_rng, 2, seed=5) as pool:
        whole = await take(pool.imap_batches(range(20), shard=shard))
    async with AsyncPool(aug.with_rng, 2, seed=5) as pool:
        stream = pool.imap_batches(range(20), output_buffer_size=4, shard=shard)
        first = await take(stream, 3)
        state = stream.state()
    async with AsyncPool(aug.with_rng, 2, seed=5) as pool:
        assert first + await take(pool.imap_batches(range(20), state=state, shard=shard)) == whole


@pytest.mark.parametrize(
    ("shard", "error", "message"),
    [
        (3, TypeError, r"shard must be \(rank, world_size\), got 3"),
        ((2, 2), ValueError, "the rank of shard must be at most 1, got 2"),
        ((0, 0), ValueError, "the world_size of shard must be at least 1, got 0"),
    ],
)
async def test_bad_shards(shard, error, message):
    async with AsyncPool(aug.nothing, 1, engine="inline") as pool:
        with pytest.raises(error, match=message):
            pool.imap_batches([1], shard=shard)


# many cancellations


async def cancel_some(pool, images, random):
    """Cancels requests and lists a moment after they began; returns how many were under way."""
    cancelled = 0
    async with pool.imap_batches(iter([images] * 50), output_buffer_size=4) as stream:
        for _ in range(10):
            calls = [asyncio.create_task(anext(stream))]
            calls += [asyncio.create_task(pool.map_batches([images] * 3)) for _ in range(3)]
            await asyncio.sleep(random.random() * 0.01)
            cancelled += sum(call.cancel() for call in calls)
            await asyncio.gather(*calls, return_exceptions=True)
    return cancelled


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_thousand_cancels_under_load(capfd):
    """At the end nothing is busy, and all permits and segments are back."""
    random = np.random.default_rng(0)
    images = np.zeros((4, 64, 64, 3), np.uint8)
    async with AsyncPool(aug.rest_a_little, processes=2) as pool:
        cancelled = 0
        while cancelled < 1000:
            cancelled += await cancel_some(pool, images, random)
        assert len(await pool.map_batches([images] * 8)) == 8
        engine = pool.pool
        while engine._scheduler.busy:
            await asyncio.sleep(0.01)
        gc.collect()
        assert pool.stats().segments == 0
        assert engine._scheduler._room == 6
    assert capfd.readouterr().err == ""


async def test_closed_streams_say_so():
    async with AsyncPool(aug.nothing, 1, on_error="skip") as pool:
        stream = pool.imap_batches(range(100), output_buffer_size=2)
        await anext(stream)
        await pool.terminate()
        with pytest.raises(ClosedError):
            await anext(stream)
        assert stream.skipped == ()
