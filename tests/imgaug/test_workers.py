"""Every augmenter of imgaug does in a worker what it does here: unpickling leaves nothing out."""

from __future__ import annotations

import asyncio
import warnings
from importlib.util import find_spec

import imgaug_carried
import imgaug_trees as trees
import numpy as np
import pytest
from aioaug import AsyncPool
from golden import cases
from imgaug import augmenters as iaa

SEED = 5
BATCHES = 2
PICTURES = np.random.default_rng(1).integers(0, 256, (2, 32, 40, 3), np.uint8)


@pytest.fixture
def augmenters():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = {name: make() for name, make in trees.LEAVES.items()}
        if find_spec("imagecorruptions"):
            made |= {name: make() for name, make in cases.CORRUPTIONS.items()}
        yield made


def test_every_augmenter_does_the_same_in_a_worker(augmenters):
    # Not a coroutine: some open files, and in the inline engine they do so on the loop.
    there, here = asyncio.run(augmented_by(augmenters))
    assert not any(isinstance(outcome, str) for outcome in here.values())  # none raises
    assert [call for call in here if here[call] != there[call]] == []


async def augmented_by(augmenters):
    """What workers that were sent the augmenters make of batches, and what we ourselves do."""
    calls = [(name, index) for name in augmenters for index in range(BATCHES)]
    batches = {name: cases.batch_for(name, PICTURES) for name in augmenters}
    async with AsyncPool(imgaug_carried.Each(augmenters, SEED), 2) as pool:
        done = await pool.map_batches([(*call, batches[call[0]]) for call in calls], chunksize=1)
    here = {}
    for name, augmenter in augmenters.items():
        async with AsyncPool(augmenter, engine="inline", seed=SEED) as pool:
            done_here = await pool.map_batches([batches[name]] * BATCHES)
        here |= {(name, index): trees.digest(batch) for index, batch in enumerate(done_here)}
    return dict(zip(calls, done, strict=True)), here


def add_elementwise():
    return iaa.AddElementwise((-40, 40))


AUGMENTERS = {
    "kept by a function's module": lambda: trees.add_by_unseeded,
    "kept by a callable": lambda: imgaug_carried.Calling(add_elementwise()),
    "kept by an augmenter": trees.Keeping,
    "a list with a seed": lambda: iaa.Sometimes(
        1.0, iaa.SomeOf(1, [iaa.Add(1), iaa.Add(2), iaa.Add(3)], seed=1)
    ),
    "a list on a copied generator": lambda: iaa.Sometimes(
        1.0, iaa.OneOf([iaa.Add(1), iaa.Add(2), iaa.Add(3)])
    ).deepcopy(),
}


@pytest.mark.parametrize("name", AUGMENTERS)
async def test_the_seed_decides_whoever_draws(name):
    """imgaug seeds nothing of these; they draw from what was seeded all the same."""
    images = np.full((1, 8, 8, 3), 100, np.uint8)
    results = []
    for engine, workers in [("inline", 1), ("thread", 2), ("process", 1), ("process", 2)]:
        async with AsyncPool(AUGMENTERS[name](), workers, engine=engine, seed=SEED) as pool:
            done = await pool.map_batches([images] * 12, chunksize=1)
        results.append([batch.tobytes() for batch in done])
    assert all(result == results[0] for result in results)
    assert len(set(results[0])) > 2
