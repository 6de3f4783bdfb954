"""Seeds and indices of batches."""

from __future__ import annotations

from aioaug._base import seeding
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None)
@given(st.integers(0, seeding.SEED_LIMIT), st.integers(0, 10**7))
def test_seeds_are_those_of_imgaug(seed, index):
    from imgaug.multicore import _derive_seed

    seeds = seeding.batch_seeds(seed, index)
    assert seeds.augmenter == _derive_seed(seed + index)
    assert seeds.library == _derive_seed(seed + index, -(10**9))


def test_golden_seeds():
    assert seeding.batch_seeds(1, 0) == (1, 1147483648)
    assert seeding.batch_seeds(2**31 - 1, 1) == (1, 1147483648)
    assert seeding.batch_seeds(10**9, 5) == (1000000005, 5)


def test_indices():
    indices = seeding.IndexAllocator()
    assert [indices.allocate(), indices.allocate(3), indices.allocate()] == [0, 1, 4]
    indices.give_back(2)  # not the newest: it stays taken
    assert indices.next == 5
    for index in (4, 3):
        indices.give_back(index)
    assert indices.allocate() == 3
