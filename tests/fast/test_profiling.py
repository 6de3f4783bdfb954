"""Which augmenters of a tree take the time."""

from __future__ import annotations

import aioaug.fast
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.fast.profiling import AugmenterTimer
from imgaug.augmentables import UnnormalizedBatch

IMAGES = np.zeros((2, 32, 32, 3), np.uint8)


class Slow(iaa.Augmenter):
    """Takes as much of the clock of the test as it is told to."""

    def __init__(self, clock, seconds, children=(), name=None):
        super().__init__(name=name)
        self.clock, self.seconds = clock, seconds
        self.children = list(children)

    def _augment_batch_(self, batch, random_state, parents, hooks):
        for child in self.children:
            batch = child.augment_batch_(batch, parents, hooks)
        self.clock.append(self.seconds)
        return batch

    def get_children_lists(self):
        return [self.children]

    def get_parameters(self):
        return []


def test_each_has_its_own_time_without_those_inside(monkeypatch):
    clock = []
    monkeypatch.setattr("aioaug.fast.profiling.perf_counter", lambda: sum(clock))
    inner = [Slow(clock, 1), Slow(clock, 2), Slow(clock, 4, name="named")]
    tree = Slow(clock, 8, [*inner, Slow(clock, 16, [Slow(clock, 32)]), inner[0]])
    timer = AugmenterTimer(tree)
    tree.augment_batch_(UnnormalizedBatch(images=IMAGES))
    assert timer.seconds == {
        "Slow": 8,
        "Slow (2)": 2,  # it is in the tree twice
        "Slow (3)": 2,
        "named": 4,
        "Slow (4)": 16,
        "Slow (5)": 32,
    }


def test_profile():
    tree = iaa.Sequential(
        [iaa.Fliplr(0.5), iaa.PiecewiseAffine(0.05), iaa.Sometimes(1.0, iaa.Add(1))]
    )
    before = repr(tree.random_state.state)
    times = aioaug.fast.profile(tree, IMAGES, rounds=2)
    assert times[0].name == "PiecewiseAffine"
    assert {time.name for time in times} >= {"Sequential", "Fliplr", "Sometimes", "Add"}
    assert sum(time.share for time in times) == pytest.approx(1)
    assert times == sorted(times, key=lambda time: -time.seconds)
    assert "augment_batch_" not in vars(tree)
    assert repr(tree.random_state.state) == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"images": IMAGES[:0]}, ValueError, "images must have at least one image"),
        ({"images": IMAGES, "rounds": 0}, ValueError, "rounds must be at least 1, got 0"),
    ],
)
def test_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        aioaug.fast.profile(iaa.Fliplr(0.5), **arguments)
    with pytest.raises(TypeError, match="one of imgaug's, got function"):
        aioaug.fast.profile(test_refuses, IMAGES)
