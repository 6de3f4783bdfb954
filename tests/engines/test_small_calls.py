"""What an engine learns from its last calls: how small they are, and how large their results."""

from __future__ import annotations

import pytest
from aioaug.engines.process.result_size import ResultSizePredictor
from aioaug.engines.small_calls import SMALL_BYTES, SmallCallPolicy

SHORT, LONG = 1e-5, 1.0


def together(policy, **options):
    return policy.batches_together(**{"ordered": True, "limited": False, **options})


def test_calls_are_large_until_they_were_seen():
    policy = SmallCallPolicy(1)
    assert not policy.pickles_on_loop
    assert not policy.unpacks_on_loop
    assert policy.calls_at_once("worker") == together(policy) == 1


@pytest.mark.parametrize(
    ("size", "seconds", "quick"),
    [(100, SHORT, True), (SMALL_BYTES, SHORT, True), (100, LONG, False)],
)
def test_what_is_quick_is_pickled_on_the_loop(size, seconds, quick):
    policy = SmallCallPolicy(1)
    policy.note_pickled(100, SHORT)
    policy.note_pickled(size, seconds)
    policy.note_unpacked(seconds)
    assert policy.pickles_on_loop is quick
    assert policy.unpacks_on_loop is (seconds == SHORT)


def test_batches_go_together_when_all_workers_are_quick():
    policy = SmallCallPolicy(2)
    policy.note_pickled(100, SHORT)
    policy.note_reply("one", SHORT)
    assert policy.calls_at_once("one") > policy.calls_at_once("other") == 1
    assert together(policy) == 1
    policy.note_reply("other", SHORT)
    assert together(policy) > 1
    assert together(policy, ordered=False) == together(policy, limited=True) == 1
    policy.note_reply("one", LONG)
    assert policy.calls_at_once("one") == together(policy) == 1


def test_calls_that_requests_share_follow_short_ones():
    policy = SmallCallPolicy(2)
    assert policy.shared_at_once("one") == 1
    policy.note_reply("one", 0.01)
    assert policy.shared_at_once("one") == 2
    assert policy.calls_at_once("one") == policy.shared_at_once("other") == 1
    policy.note_reply("one", LONG)
    assert policy.shared_at_once("one") == 1


def test_workers_that_do_not_stay_get_one_call_at_a_time():
    policy = SmallCallPolicy(1, workers_stay=False)
    policy.note_pickled(100, SHORT)
    policy.note_reply("worker", SHORT)
    assert policy.calls_at_once("worker") == together(policy) == 1


def test_room_for_results():
    sizes = ResultSizePredictor()
    assert sizes.room_for(0) == 0
    assert 1000 <= sizes.room_for(1000) < 1500
    sizes.note_needed(1000, 9000)
    assert sizes.room_for(1000) == 8000
    assert sizes.room_for(0) == 0  # of calls without arrays that says nothing
    sizes.note_pickled(1000)
    assert sizes.room_for(0) == 0
    sizes.note_pickled(1 << 20)
    assert sizes.room_for(0) > 1 << 20
    sizes.note_needed(0, 1 << 22)
    assert sizes.room_for(0) == 1 << 22
    assert sizes.room_for(1000) == 8000


def test_room_that_was_asked_for():
    assert ResultSizePredictor(1 << 20).room_for(0) == 1 << 20
    assert ResultSizePredictor(100).room_for(0) == 0
