"""The line of an engine: who gets a worker, and who has to wait."""

from __future__ import annotations

import asyncio

import pytest
from aioaug import ClosedError
from aioaug.engines.scheduler import Caller, Scheduler


class Line:
    """Calls that wait in a scheduler's line; `served` lists them in the order of their turns."""

    def __init__(self, workers=2, **options):
        self.scheduler = Scheduler(**options)
        self.scheduler.open(range(workers))
        self.served = []
        self.tasks = {}
        self.turns = {}

    def call(self, name, caller=None, *, ahead=1, large=False):
        self.turns[name] = self.scheduler.join(caller)
        self.tasks[name] = asyncio.create_task(self._call(name, ahead, large))

    async def _call(self, name, ahead, large):
        if large:
            await self.scheduler.find_room(self.turns[name])
            self.served.append(f"room for {name}")
        worker = await self.scheduler.acquire(self.turns[name], ahead)
        self.served.append(name)
        return worker

    async def end(self, name):
        self.scheduler.release(self.turns[name], await self.tasks[name])
        self.scheduler.leave(self.turns[name])
        await self.pause()

    @staticmethod
    async def pause():
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self):
        await self.scheduler.close(wait=False)
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@pytest.fixture
async def line():
    lines = []

    def make(**options):
        lines.append(Line(**options))
        return lines[-1]

    yield make
    for each in lines:
        await each.close()


async def test_first_come_first_served_whatever_a_call_needs(line):
    """One that makes do with a busy worker does not overtake one that needs an idle one."""
    calls = line(calls_at_once=lambda worker: 4)
    for name in "ab":
        calls.call(name, ahead=4)
    calls.call("needs an idle one")
    for name in "cd":
        calls.call(name, ahead=4)
    await calls.pause()
    assert calls.served == ["a", "b"]
    await calls.end("a")
    assert calls.served == ["a", "b", "needs an idle one", "c", "d"]


async def test_a_stream_stands_in_the_line_once(line):
    calls, stream = line(), Caller()
    for number in range(6):
        calls.call(number, stream)
    await calls.pause()
    assert calls.served == [0, 1]  # nobody else wanted the second worker
    for name in "abc":
        calls.call(name)
    await calls.pause()
    for done in (0, 1, "a", "b", "c"):
        await calls.end(done)
    # When none of its calls is at work any more, the next one stands behind those who wait.
    assert calls.served == [0, 1, "a", "b", "c", 2, 3]


async def test_streams_take_turns(line):
    calls, one, other = line(workers=1), Caller(), Caller()
    for number in range(3):
        calls.call(f"one {number}", one)
    for number in range(3):
        calls.call(f"other {number}", other)
    await calls.pause()
    for done in ("one 0", "other 0", "one 1", "other 1", "one 2"):
        await calls.end(done)
    assert calls.served == ["one 0", "other 0", "one 1", "other 1", "one 2", "other 2"]


async def test_what_a_stream_has_in_memory_leaves_room_for_others(line):
    calls, stream = line(room=6), Caller()
    for number in range(6):
        calls.call(number, stream, large=True)
    await calls.pause()
    assert sum("room" in str(entry) for entry in calls.served) == 4
    for name in "abc":
        calls.call(name, large=True)
    await calls.pause()
    assert [entry for entry in calls.served if "room" in str(entry)][4:] == [
        "room for a",
        "room for b",
    ]
    await calls.end(0)
    assert calls.served[-1] == "room for c"
    assert "a" in calls.served


async def test_a_stream_whose_call_is_cancelled_keeps_its_place(line):
    calls, stream = line(workers=1), Caller()
    calls.call("at work")
    await calls.pause()
    calls.call(0, stream)
    calls.call(1, stream)
    calls.call("other")
    await calls.pause()
    calls.tasks[0].cancel()
    await calls.pause()
    calls.scheduler.leave(calls.turns[0])
    assert (stream.present, len(stream.spare)) == (1, 0)
    await calls.end("at work")
    await calls.end("other")
    assert calls.served == ["at work", "other", 1]


async def test_whoever_waits_when_it_is_closed_is_told(line):
    calls = line(workers=1)
    for name in "abc":
        calls.call(name)
    await calls.pause()
    await calls.scheduler.close(wait=False)
    for name in "bc":
        with pytest.raises(ClosedError):
            await calls.tasks[name]
    with pytest.raises(ClosedError):
        calls.scheduler.join()


async def test_nothing_is_sent_behind_what_nobody_waits_for():
    scheduler = Scheduler(lambda worker: 4)
    scheduler.open(["one", "two"])
    turns = [scheduler.join() for _ in range(6)]
    busy = await scheduler.acquire(turns[0])
    work = scheduler.begin(turns[0], busy)
    abandoned = asyncio.ensure_future(work.wait())
    await asyncio.sleep(0)
    abandoned.cancel()
    await asyncio.wait((abandoned,))
    scheduler.abandon(work, busy)
    assert [await scheduler.acquire(turn, 4) for turn in turns[1:5]] == ["two"] * 4
    waiting = asyncio.ensure_future(scheduler.acquire(turns[5], 4))
    await asyncio.sleep(0)
    work.succeed(None)
    assert await waiting == "one"


async def test_shared_calls_are_given_to_busy_workers():
    scheduler = Scheduler(shared_at_once=lambda worker: 2)
    scheduler.open("w")
    first, alone = scheduler.join(), scheduler.join()
    await scheduler.acquire(first, 2)
    waiting = asyncio.create_task(scheduler.acquire(alone, 2))
    await asyncio.sleep(0)
    shared = scheduler.join(shared=True)
    following = asyncio.create_task(scheduler.acquire(shared, 2))
    await asyncio.sleep(0)
    assert not following.done()  # the line is one
    scheduler.release(first, "w")
    assert await waiting == await following == "w"
    for turn in (alone, shared):
        scheduler.release(turn, "w")
    for turn in (first, alone, shared):
        scheduler.leave(turn)
