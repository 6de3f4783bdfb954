"""The line of a cluster whose calls prefer workers: nothing waits for the sake of a preference."""

from __future__ import annotations

import asyncio

import pytest
from aioaug.data import Files
from aioaug.data.references import CellReference, MemberReference
from aioaug.engines.cluster import homes
from aioaug.engines.cluster.homes import HomeScheduler, WorkerHomes, read_place
from aioaug.engines.cluster.members import ClusterWorker
from aioaug.engines.scheduler import Caller


class Line:
    """Calls in the line, each with the worker that it prefers; `given` is who got which worker."""

    def __init__(self, *workers):
        self.scheduler = HomeScheduler()
        self.scheduler.open(workers)
        self.turns, self.tasks, self.given = {}, [], {}

    def call(self, name, home=None, caller=None):
        turn = self.turns[name] = self.scheduler.join(caller)
        turn.home = home
        self.tasks.append(asyncio.create_task(self._call(name)))

    async def _call(self, name):
        self.given[name] = await self.scheduler.acquire(self.turns[name], 99)

    async def end(self, name):
        self.scheduler.release(self.turns[name], self.given[name])
        self.scheduler.leave(self.turns[name])
        await self.settle()

    @staticmethod
    async def settle():
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self):
        await self.scheduler.close(wait=False)
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def pair():
    return ClusterWorker("a", 1), ClusterWorker("b", 1)


async def test_a_worker_with_room_gets_a_call_that_prefers_it(pair):
    a, b = pair
    line = Line(a, b)
    for number, home in enumerate([a, b, a, b, a, a, b]):  # the first four fill both
        line.call(number, home)
    await line.settle()
    assert [line.given[number] for number in range(4)] == [a, b, a, b]
    await line.end(1)
    assert line.given[6] is b  # before two that prefer the other one
    await line.end(0)
    assert line.given[4] is a
    await line.close()


async def test_no_worker_is_idle_while_calls_wait_for_another_one(pair):
    a, b = pair
    line = Line(a, b)
    for number in range(6):
        line.call(number, b)
    await line.settle()
    # The first goes home, the second to a thread that is idle, and then there is room ahead.
    assert [line.given[number] for number in range(4)] == [b, a, b, a]
    for number in (1, 3):  # `b` is slow
        await line.end(number)
    assert [line.given[number] for number in (4, 5)] == [a, a]
    await line.close()


async def test_a_worker_that_leaves_is_not_waited_for(pair):
    a, b = pair
    line = Line(a, b)
    for number in range(6):
        line.call(number, b)
    await line.settle()
    line.scheduler.withdraw(b)
    await line.end(0)
    await line.end(2)
    assert len(line.given) == 4  # it gets no more
    await line.end(1)
    await line.end(3)
    assert [line.given[number] for number in (4, 5)] == [a, a]
    await line.close()


async def test_a_call_is_overtaken_a_few_times_only(pair):
    a, b = pair
    line = Line(a, b)
    for number in range(4):
        line.call(number)
    await line.settle()
    line.call("first", b)
    for number in range(4, 40):
        line.call(number, a)
    await line.settle()
    took, running = 0, [number for number in range(4) if line.given[number] is a]
    while "first" not in line.given:
        await line.end(running.pop(0))
        took += 1
        running += [each for each in range(4, 40) if each in line.given and each not in running]
        running = [each for each in running if line.turns[each].present]
    assert line.given["first"] is a
    assert took == 1 + homes._OVERTAKEN * 2
    await line.close()


async def test_those_in_the_line_are_not_overtaken_by_spare_ones(pair):
    a, b = pair
    line, stream = Line(a, b), Caller()
    for number in range(4):
        line.call(number)
    await line.settle()
    line.call("in the line", b)
    for number in range(4, 8):  # the first of them is in the line, too
        line.call(number, b if number == 4 else a, stream)
    await line.settle()
    await line.end(next(number for number in range(4) if line.given[number] is a))
    assert line.given["in the line"] is a
    assert not line.given.keys() & {4, 5, 6, 7}
    await line.close()


async def test_a_worker_with_few_threads_that_is_full_holds_up_none_with_many():
    few, many = ClusterWorker("few", 1), ClusterWorker("many", 8)
    line = Line(few, many)
    for number in range(11):
        line.call(number)
    await line.settle()
    assert list(line.given.values()).count(few) == 2
    assert list(line.given.values()).count(many) == 9
    await line.close()


async def test_who_read_last_is_preferred_and_else_the_text_says_who(monkeypatch):
    workers = {name: ClusterWorker(name, 1) for name in "abcd"}
    places = [f"/pictures/{number}.png" for number in range(200)]
    known = WorkerHomes()
    first = [known.find(place, workers) for place in places]
    assert first == [WorkerHomes().find(place, workers) for place in places]
    assert {each.address for each in first} == set("abcd")
    del workers["d"]
    moved = [known.find(place, workers) for place in places]
    assert all(
        now is before for now, before in zip(moved, first, strict=True) if before.address != "d"
    )
    known.note(places[0], workers["a"])
    known.note(places[0], workers["b"])
    assert known.find(places[0], workers) is workers["b"]
    workers["b"].draining = True
    assert known.find(places[0], workers) is not workers["b"]
    assert known.find(places[0], {}) is None
    monkeypatch.setattr(homes, "_MOST_PLACES", 3)
    for place in places:
        known.note(place, workers["a"])
    assert len(known._readers) == 3


def test_batches_of_references_say_where_they_are_read_from(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    (batch,) = Files(tmp_path).batches(4)
    assert read_place(([(0, batch)],)) == str(tmp_path / "x.png")
    member = MemberReference("/a.tar", "x.png", 512, 9)
    assert member.place == "/a.tar:512"
    # Those of one group of rows have one place, since the whole group is read.
    cells = [CellReference("/a.parquet", f"{row}", "image", 3, row) for row in range(2)]
    assert {cell.place for cell in cells} == {"/a.parquet:3"}
    for args in ((), (1, 2), ([],), ([(0, "batch")],), ({},)):
        assert read_place(args) is None
