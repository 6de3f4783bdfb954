"""Same bytes as imgaug.multicore.Pool, compared live, for random trees of augmenters."""

from __future__ import annotations

import asyncio
import os
import warnings

import imgaug_trees as trees
import pytest
from aioaug import AsyncPool
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from imgaug_trees import Branch, Images, Node, Trial

QUICK = 24
MANY = int(os.environ.get("AIOAUG_TREES", "300"))
INTEGERS = [f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 32, 64)]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64"]
DEPTH = 4
# One of them writes files, and counts its batches.
LEAVES = sorted(trees.LEAVES.keys() - {"debug.SaveDebugImageEveryNBatches"})

numbers = st.integers(0, 11)
often = st.sampled_from


FIXED = often([""] * 8 + ["method", "attribute"])
SEEDS = often([None] * 5 + [3])


def nests(depth):
    children = branches(depth - 1)
    names = often([*trees.NESTS, *list(trees.LISTS) * 4, *["Sometimes"] * 4])
    both = st.tuples(children, st.none() | children)
    return st.builds(Node, names, both, numbers, seed=SEEDS, fixed=FIXED)


def nodes(depth):
    leaf = st.builds(Node, often(LEAVES), seed=SEEDS, fixed=FIXED)
    return leaf if depth == 1 else st.one_of(nests(depth), nests(depth), leaf)


def branches(depth):
    inside = nodes(depth)
    lists = st.lists(inside, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Branch, lists, twice=often([False] * 5 + [True])),
        st.builds(Branch, st.tuples(inside), bare=st.just(True)),
    )


def pictures():
    some = st.sets(often(trees.reference.COLUMNS), max_size=4)
    with_images = some.map(lambda names: names | {"images"})
    columns = st.one_of(st.just(trees.reference.COLUMNS), with_images, with_images, some)
    return st.builds(
        Images,
        seed=st.integers(0, 10**6),
        sizes=st.one_of(same_sizes(), same_sizes(), sizes(6, 24), sizes(0, 24)),
        channels=often([3] * 12 + [None, 1, 2, 4]),
        dtype=often(["uint8"] * 30 + DTYPES),
        columns=columns.map(sorted).map(tuple),
        layout=often(["C"] * 6 + ["F", "reversed", "read-only"]),
        together=st.booleans(),
        normalized=st.booleans(),
    )


def sizes(smallest, largest):
    side = st.one_of(st.integers(smallest, largest), st.integers(smallest, smallest + 1))
    return st.lists(st.tuples(side, side), max_size=3).map(tuple)


def same_sizes():
    side = st.integers(6, 24)
    return st.builds(lambda h, w, n: ((h, w),) * n, side, side, st.integers(1, 3))


def trials():
    return st.builds(
        Trial,
        nests(DEPTH),
        st.lists(pictures(), min_size=1, max_size=3).map(tuple),
        seed=st.one_of(st.integers(0, 100), st.integers(0, 2**31 - 1)),
        live=often([0] * 6 + [1, 2]),
        engine=often(["inline"] * 8 + ["thread"] * 3 + ["process"]),
        workers=st.integers(1, 3),
    )


@pytest.fixture(scope="module")
def reference():
    found = trees.Reference()
    yield found
    found.close()


@pytest.fixture
def runner():
    with asyncio.Runner() as runner:
        yield runner


async def outcomes(trial):
    """What a pool of ours makes of the batches, all of them under way at once."""
    pool = AsyncPool(trees.build(trial), trial.workers, seed=trial.seed, engine=trial.engine)
    async with pool:
        calls = (pool.map_batches([trees.batch_of(images)]) for images in trial.batches)
        results = await asyncio.gather(*calls, return_exceptions=True)
    return [
        trees.digest(result if isinstance(result, BaseException) else result[0])
        for result in results
    ]


def check(trial, reference, runner):
    wanted = reference(trial)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert runner.run(outcomes(trial)) == wanted


def trying(count, **options):
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        **options,
    )


def a_list_in(name, augmenter, *leaves):
    inside = Node(augmenter, (Branch(tuple(map(Node, leaves))),) * 2 if leaves else (), number=1)
    return Node(name, (Branch((inside,), bare=True), None))


THREE = "arithmetic.AddElementwise", "flip.Fliplr", "arithmetic.Multiply"


@pytest.mark.parametrize("engine", ["inline", "thread", "process"])
@pytest.mark.parametrize(
    "tree",
    [
        a_list_in("Sometimes", "OneOf", *THREE),
        a_list_in("Sometimes", "SomeOf", *THREE),
        a_list_in("Sometimes", "Sequential", *THREE),
        a_list_in("Sometimes", "weather.Rain"),
        a_list_in("BlendAlpha", "weather.Clouds"),
        a_list_in("WithChannels", "SomeOf", *THREE),
        a_list_in("WithColorspace", "OneOf", *THREE),
    ],
    ids=lambda tree: f"{tree.name}-{tree.branches[0].nodes[0].name}",
)
def test_a_list_in_the_place_of_children(tree, engine, reference, runner):
    batches = tuple(Images(number, ((16, 24),) * 2) for number in range(12))
    check(Trial(tree, batches, seed=7, live=2, engine=engine, workers=2), reference, runner)


@trying(QUICK, derandomize=True)
@given(trial=trials())
def test_random_trees(trial, reference, runner):
    check(trial, reference, runner)


@pytest.mark.slow
@pytest.mark.timeout(0)
@trying(MANY)
@given(trial=trials())
def test_many_random_trees(trial, reference, runner):
    check(trial, reference, runner)
