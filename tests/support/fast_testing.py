"""What the tests of faster forms have in common."""

from __future__ import annotations

import copy
import warnings

import aioaug.fast
import imgaug as ia
import numpy as np
from aioaug.fast.close.families import CLOSE
from golden import cases, load

PICTURES = load("record").recorded()["pictures"]
NOISE = np.random.default_rng(1)
SHAPES = {
    "one pixel": (2, 1, 1, 3),
    "one value": (2, 1, 1, 1),
    "four values": (2, 4, 1, 1),
    "odd": (2, 33, 47, 3),
    "wide": (1, 3, 130, 3),
    "gray": (2, 20, 31, 1),
    "four": (2, 20, 31, 4),
    "none high": (2, 0, 8, 3),
    "no channel": (2, 8, 8, 0),
    "nothing": (0, 8, 8, 3),
}


def noise(shape, dtype):
    if dtype == "bool":
        return NOISE.random(shape) > 0.5
    if np.dtype(dtype).kind == "f":
        return (NOISE.random(shape) * 2 - 0.5).astype(dtype)
    limits = np.iinfo(dtype)
    return NOISE.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def outcome(augmenter, images):
    """What comes out for a seed, or the error, and the generators' states afterwards."""
    ia.random.seed(5)
    augmenter.seed_(3)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            done = augmenter.augment_images(copy.deepcopy(images))
        except Exception as error:
            done = error
    holders = augmenter.get_all_children(flat=True)
    rngs = [augmenter.random_state, ia.random.get_global_rng(), *(h.random_state for h in holders)]
    states = [rng.state for rng in rngs]
    return done, [str(warning.message) for warning in warned], states


def made(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "AffineCv2 is deprecated")
        return cases.ALL[name]()


def assert_close(plain, images=PICTURES, share=0.001, most=255, what=""):
    """Values of the accelerated copy: at most a `share` is more than one level off, none `most`.

    The generators' states say that the same numbers were drawn.
    """
    fast = aioaug.fast.accelerate(plain)
    assert type(fast) is CLOSE[type(plain)], what
    (expected, *states), (done, *states_done) = outcome(plain, images), outcome(fast, images)
    assert type(done) is type(expected), (what, done)
    if isinstance(expected, Exception):
        assert str(done) == str(expected), what
        return
    np.testing.assert_equal(states_done, states, what)
    for image, image_expected in zip(done, expected, strict=True):
        assert (image.dtype, image.shape) == (image_expected.dtype, image_expected.shape), what
    levels = [
        np.abs(image.astype(float) - image_expected).ravel()
        for image, image_expected in zip(done, expected, strict=True)
    ]
    differences = np.concatenate(levels) if levels else np.zeros(0)
    assert np.count_nonzero(differences > 1) <= share * differences.size, what
    assert differences.max(initial=0) <= most, what
