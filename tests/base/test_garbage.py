"""Garbage may be collected at any allocation, and what it runs may change what is looped over."""

from __future__ import annotations

import gc
from multiprocessing import util
from queue import SimpleQueue

import pytest
from aioaug._base.interrupts import Answer
from aioaug.engines.process import semaphores
from aioaug.engines.process.segment_pool import SegmentPool

ALLOCATIONS = 40  # from the first one on, one after the other is the one that collects


class Garbage:
    """A cycle that does something when it is collected."""

    def __init__(self, deed):
        self.itself = self
        self.deed = deed

    def __del__(self):
        self.deed()


@pytest.fixture
def collecting():
    """Calls a function again and again, each time with a deed during another allocation."""

    def run(function, deed):
        for allocations in range(1, ALLOCATIONS):
            gc.collect()
            gc.disable()
            Garbage(deed)
            gc.set_threshold(allocations)
            gc.enable()
            function()
            gc.set_threshold(*thresholds)

    thresholds = gc.get_threshold()
    yield run
    gc.set_threshold(*thresholds)
    gc.enable()


class Thing:
    """Something to finalize."""


def test_finalizers_of_multiprocessing(collecting):
    things = []

    def one_more():
        things.append(Thing())
        util.Finalize(things[-1], things.clear)

    collecting(lambda: semaphores.unlink([]), one_more)


def test_segments(collecting):
    pool = SegmentPool(3, 1 << 20)
    segment = pool.acquire(1)
    numbers = iter(range(1000, 2000))
    collecting(pool._used, lambda: pool._all.update({next(numbers): segment}))
    pool.release(segment)
    pool.close()


def test_waiters(collecting):
    def give():
        answer.outcome = None
        answer.give(1)

    answer = Answer()
    bell = SimpleQueue()
    numbers = iter(range(1000))
    answer._bells[bell] = None
    collecting(give, lambda: answer._bells.update({Bell(next(numbers)): None}))


class Bell(int):
    def put(self, _):
        pass
