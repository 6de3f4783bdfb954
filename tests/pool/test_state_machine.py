"""A pool driven at random against a simple model: streams, lists, deaths, cancellations, ends."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress

import aioaug_testing as aug
import pytest
from aioaug import AsyncPool, ClosedError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)


class Model:
    """What is known of a stream: the batches that its consumer has to get yet."""

    def __init__(self, stream, count, window, ordered):
        self.stream = stream
        self.count = count
        self.left = list(range(count))
        self.window = window
        self.ordered = ordered
        self.pulled = 0

    def source(self):
        for number in tuple(self.left):
            self.pulled += 1
            yield number


class PoolMachine(RuleBasedStateMachine):
    streams = Bundle("streams")

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.pool = AsyncPool(aug.nothing, processes=2, retries=100)
        self.running = set()
        self.open = True
        self.do(self.pool.__aenter__())

    def do(self, work):
        async def within_reason():
            async with asyncio.timeout(30):
                return await work

        return self.runner.run(within_reason())

    def teardown(self):
        self.do(self.pool.terminate())
        assert multiprocessing.active_children() == []
        self.runner.close()

    @precondition(lambda self: self.open)
    @rule(
        target=streams,
        count=st.integers(0, 12),
        window=st.sampled_from([None, 1, 2, 5]),
        chunksize=st.integers(1, 4),
        ordered=st.booleans(),
    )
    def start(self, count, window, chunksize, ordered):
        model = Model(None, count, window, ordered)
        imap = self.pool.imap_batches if ordered else self.pool.imap_batches_unordered

        async def begin():
            return imap(model.source(), chunksize, window)

        model.stream = self.do(begin())
        self.running.add(model)
        return model

    @rule(model=streams, count=st.integers(1, 4))
    def take(self, model, count):
        for _ in range(count):
            self.do(self.take_one(model))

    async def take_one(self, model):
        if model not in self.running:
            with pytest.raises((ClosedError, StopAsyncIteration)):
                await anext(model.stream)
        elif not model.left:
            with pytest.raises(StopAsyncIteration):
                await anext(model.stream)
        else:
            number = await anext(model.stream)
            assert number == model.left[0] if model.ordered else number in model.left
            model.left.remove(number)

    @rule(model=streams, turns=st.integers(0, 6))
    def take_and_cancel(self, model, turns):
        """A request that is cancelled loses nothing, whether it came to something or not."""

        async def scenario():
            request = asyncio.ensure_future(anext(model.stream))
            for _ in range(turns):
                await asyncio.sleep(0)
            request.cancel()
            (got,) = await asyncio.gather(request, return_exceptions=True)
            if isinstance(got, int):
                model.left.remove(got)
            else:
                assert isinstance(got, (asyncio.CancelledError, ClosedError, StopAsyncIteration))

        self.do(scenario())

    @rule(model=consumes(streams))
    def close_stream(self, model):
        self.do(model.stream.aclose())
        self.running.discard(model)

    @precondition(lambda self: self.open)
    @rule(count=st.integers(0, 9), chunksize=st.sampled_from([None, 1, 3]))
    def map_a_list(self, count, chunksize):
        numbers = list(range(count))
        assert self.do(self.pool.map_batches(numbers, chunksize)) == numbers

    @precondition(lambda self: self.open)
    @rule(turns=st.integers(0, 6))
    def cancel_a_list(self, turns):
        async def scenario():
            work = self.pool.map_batches_async(list(range(20)))
            for _ in range(turns):
                await asyncio.sleep(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

        self.do(scenario())

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 1))
    def kill_a_worker(self, which):
        children = sorted(child.pid for child in multiprocessing.active_children())
        if which < len(children):
            with suppress(ProcessLookupError):  # dead from the time before
                os.kill(children[which], signal.SIGKILL)

    @rule(kill=st.booleans())
    def end(self, kill):
        self.do(self.pool.terminate() if kill else self.pool.close())
        self.open = False
        self.running.clear()
        assert multiprocessing.active_children() == []

    @invariant()
    def no_source_is_ahead_of_its_window(self):
        for model in self.running:
            if model.window is not None:
                delivered = model.count - len(model.left)
                assert model.pulled <= delivered + model.window


def test_a_pool_driven_at_random():
    run_state_machine_as_test(PoolMachine, settings=chosen(max_examples=15, steps=15))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_pool_driven_at_random_for_long():
    run_state_machine_as_test(PoolMachine, settings=chosen(max_examples=300, steps=40))


def chosen(*, max_examples, steps):
    return settings(
        max_examples=max_examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
